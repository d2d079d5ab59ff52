package pipefold;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.ObjIntConsumer;

/**
 * Reports runs to DX, by libpipefold. Any number of threads may use it at once.
 *
 * <p>Each call records on disk before it returns. Values are anything that Gson makes JSON of: maps, objects of classes with DX's names, a
 * {@link JsonElement}.
 */
public final class Reporter implements AutoCloseable {
    private static final Gson GSON = new Gson();

    /** Calls hold it for reading, and close for writing. */
    private final ReadWriteLock open = new ReentrantReadWriteLock();
    /** The library has its place, which the garbage collection does not know of: this keeps it. */
    private final Library.Log log;
    private Pointer reporter;

    /**
     * Opens a reporter.
     *
     * @param config the keys of pipefold.toml, and `token`; if it is null all is read from the environment and files, as by the command
     * @param log gets messages and their level, 1 for errors to 5 for traces, in the thread of the call that they are about; may be null
     */
    public Reporter(Object config, ObjIntConsumer<String> log) throws PipefoldException {
        this.log = log == null ? null : (context, level, message) -> log.accept(message.getString(0, "UTF-8"), level);
        byte[] text = config == null ? null : json(config);
        PointerByReference opened = new PointerByReference();
        PointerByReference answer = new PointerByReference();
        int status = Library.pipefold_open(text, text == null ? 0 : text.length, this.log, null, opened, answer);
        take(status, answer);
        reporter = opened.getValue();
    }

    /** The version of the library. */
    public static String version() {
        return Library.pipefold_version().getString(0, "UTF-8");
    }

    /** Reports that a run began. Gives the receipt. */
    public JsonObject start(Object run) throws PipefoldException {
        return call(Library::pipefold_start, run);
    }

    /** Reports that a step began or ended. Gives the receipt. */
    public JsonObject step(Object step) throws PipefoldException {
        return call(Library::pipefold_step, step);
    }

    /** Reports that a run ended, and sends it. Gives the receipt. */
    public JsonObject finish(Object run) throws PipefoldException {
        return call(Library::pipefold_finish, run);
    }

    /** Sends what waits. The options are those of `pipefold flush`, such as `timeout`; they may be null. */
    public JsonObject flush(Object options) throws PipefoldException {
        return call(Library::pipefold_flush, options);
    }

    /** Folds the notifications of one run by DX's rule. Records and sends nothing. */
    public JsonObject merge(Object history) throws PipefoldException {
        return call(Library::pipefold_merge, history);
    }

    /** Waits for the calls that are running, and frees the reporter. What was not sent stays on disk. Later calls fail. */
    @Override
    public void close() {
        open.writeLock().lock();
        try {
            Library.pipefold_close(reporter);
            reporter = null;
        } finally {
            open.writeLock().unlock();
        }
    }

    private JsonObject call(Library.Call function, Object value) throws PipefoldException {
        byte[] text = value == null ? null : json(value);
        PointerByReference answer = new PointerByReference();
        open.readLock().lock();
        try {
            if (reporter == null) {
                throw new IllegalStateException("the reporter is closed");
            }
            return take(function.ask(reporter, text, text == null ? 0 : text.length, answer), answer);
        } finally {
            open.readLock().unlock();
        }
    }

    private static byte[] json(Object value) {
        return GSON.toJson(value).getBytes(StandardCharsets.UTF_8);
    }

    /** Reads the answer, and gives it back to the library. */
    private static JsonObject take(int status, PointerByReference answer) throws PipefoldException {
        Pointer place = answer.getValue();
        JsonObject said;
        try {
            said = place == null ? new JsonObject() : JsonParser.parseString(place.getString(0, "UTF-8")).getAsJsonObject();
        } finally {
            Library.pipefold_free(place);
        }
        if (status != 0) {
            throw new PipefoldException(status, said);
        }
        return said;
    }
}
