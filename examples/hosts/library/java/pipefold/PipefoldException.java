package pipefold;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;

/** What the library could not do. */
public class PipefoldException extends Exception {
    private static final long serialVersionUID = 1;

    /** Whose fault it is. */
    public enum Status {
        /** The notification breaks rules, and was not recorded. */
        REFUSED,
        /** An argument, the configuration or the JSON is wrong. */
        INVALID,
        /** The library could not do it. */
        FAILED,
        /** The reporter was opened before a fork. */
        FORKED;

        static Status of(int number) {
            return number >= 1 && number <= values().length ? values()[number - 1] : FAILED;
        }
    }

    private final Status status;
    private final transient JsonArray violations;

    PipefoldException(int status, JsonObject answer) {
        super(answer.has("error") ? answer.get("error").getAsString() : "libpipefold failed with status " + status);
        this.status = Status.of(status);
        this.violations = answer.has("violations") ? answer.getAsJsonArray("violations") : new JsonArray();
    }

    public Status status() {
        return status;
    }

    /** The rules that a refused notification breaks: objects with `field`, `fault` and `message`. */
    public JsonArray violations() {
        return violations;
    }
}
