import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import pipefold.PipefoldException;
import pipefold.Reporter;

/**
 * A host in Java that records a run with libpipefold, and sends it to DX.
 *
 * <pre>DX_API_URL=… DX_API_TOKEN=… java Host notifications.jsonl spool</pre>
 *
 * The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of
 * a wrong one, and the run as DX's rule folds it.
 */
public class Host {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        List<JsonObject> history = Files.readAllLines(Path.of(arguments[0])).stream()
                .map(line -> JsonParser.parseString(line).getAsJsonObject())
                .toList();
        Map<String, String> config = Map.of(
                "dx_url", System.getenv("DX_API_URL"), "token", System.getenv("DX_API_TOKEN"), "spool", arguments[1]);

        try (Reporter reporter = new Reporter(config, (message, level) -> System.err.println(level + ": " + message))) {
            say("start", reporter.start(history.get(0)));
            for (JsonObject step : history.subList(1, history.size() - 1)) {
                say("step", reporter.step(step));
            }
            say("finish", reporter.finish(history.get(history.size() - 1)));

            JsonObject wrong = history.get(1).deepCopy();
            wrong.addProperty("status", "won");
            try {
                reporter.step(wrong);
            } catch (PipefoldException refused) {
                JsonObject violation = refused.violations().get(0).getAsJsonObject();
                OUT.println("refused " + violation.get("field").getAsString() + " " + violation.get("fault").getAsString());
            }
            // The library sorts the names, and Gson keeps their order.
            OUT.println(new GsonBuilder().disableHtmlEscaping().create().toJson(reporter.merge(history)));
        }
    }

    private static void say(String call, JsonObject receipt) {
        OUT.println(call + " " + receipt.get("verdict").getAsString());
        // It is recorded all the same, and sent by a later call or flush.
        if (!receipt.get("trouble").isJsonNull()) {
            System.err.println(receipt.get("trouble").getAsString());
        }
    }
}
