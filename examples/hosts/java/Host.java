import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A host in Java, without libraries: pipes JSON through `pipefold hook`.
 *
 * <pre>java Host.java notifications.jsonl</pre>
 *
 * Prints what each hook says, one JSON object a line. With DX_API_URL and DX_API_TOKEN it then sends the run and its jobs to DX.
 */
public class Host {
    public static void main(String[] arguments) throws Exception {
        List<String> notifications = Files.readAllLines(Path.of(arguments[0]));
        String history = "[" + String.join(",", notifications) + "]";

        String finish = hook("finish", history);
        List<String> all = List.of(hook("start", notifications.get(0)), hook("step", notifications.get(1)), finish, hook("merge", history));
        for (String said : all) {
            System.out.write((said + "\n").getBytes(StandardCharsets.UTF_8));
        }
        System.out.flush();

        if (System.getenv("DX_API_URL") != null && finish.endsWith(",\"verdict\":\"report\"}")) {
            tellDx(finish);
        }
    }

    private static String hook(String name, String json) throws IOException, InterruptedException {
        Process process = new ProcessBuilder("pipefold", "hook", name).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (var stdin = process.getOutputStream()) {
            stdin.write(json.getBytes(StandardCharsets.UTF_8));
        }
        String answer = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        // 0: a verdict. 2: refused, and the answer lists the violations. Anything else is on stderr.
        if (process.waitFor() != 0) {
            throw new IOException("pipefold hook " + name + ": " + answer);
        }
        return answer;
    }

    /** A text in JSON. */
    private static final String TEXT = "\"(?:[^\"\\\\]|\\\\.)*\"";
    /** An object in JSON without another one in it. */
    private static final Pattern OBJECT = Pattern.compile("\\{(?:" + TEXT + "|[^\"{}])*\\}");

    private static void tellDx(String finish) throws IOException, InterruptedException {
        // The command writes its keys in order and without spaces, so that no JSON library is needed to find the parts of
        // {"jobs":[…],"run":{…},"verdict":"report"}. DX has no field for attributes, and its page lists four statuses of a run; `unknown` is
        // sent as none.
        int between = finish.indexOf(",\"run\":{");
        String run = finish.substring(between + ",\"run\":".length(), finish.length() - ",\"verdict\":\"report\"}".length())
                .replaceFirst("\"attributes\":" + OBJECT + ",", "")
                .replace(",\"status\":\"unknown\"}", "}");
        post("pipelineRuns.upsert", run);
        // DX takes a job only after its run.
        for (Matcher job = OBJECT.matcher(finish.substring(0, between)); job.find();) {
            post("pipelineJobs.upsert", job.group().replaceFirst("\\}$", "") + ",\"pipeline_source\":" + field(run, "pipeline_source")
                    + ",\"run_reference_id\":" + field(run, "reference_id") + "}");
        }
    }

    private static String field(String object, String name) {
        Matcher value = Pattern.compile("\"" + name + "\":(" + TEXT + ")").matcher(object);
        return value.find() ? value.group(1) : "null";
    }

    private static void post(String method, String body) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("DX_API_URL") + "/api/" + method))
                .header("Authorization", "Bearer " + System.getenv("DX_API_TOKEN"))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(10))
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (!response.body().replace(" ", "").contains("\"ok\":true")) {
            throw new IOException("DX refused " + method + ": " + response.body());
        }
    }
}
