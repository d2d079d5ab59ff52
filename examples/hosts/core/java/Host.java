import com.dylibso.chicory.runtime.Instance;
import com.dylibso.chicory.wasm.Parser;
import com.dylibso.chicory.wasm.WasmModule;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A host in Java, without native code: asks the core module in Chicory.
 *
 * <pre>java -cp 'chicory/*' Host.java core.wasm notifications.jsonl</pre>
 *
 * Prints what each hook says, one JSON object a line, as `pipefold hook` does.
 */
public class Host {
    /** The code and the JSON of an answer. 0: a verdict. 1: not JSON of this form. 2: refused, and the answer lists the violations. */
    record Answer(int code, String json) {}

    private final WasmModule module;

    Host(File file) {
        module = Parser.parse(file);
    }

    /** An instance is for one thread, so that each call has its own. It imports nothing. */
    Answer ask(String hook, String json) {
        Instance instance = Instance.builder(module).build();
        int version = call(instance, "abi_version");
        if (version != 1) {
            throw new IllegalStateException("the module has version " + version + " of the ABI, and this host knows version 1");
        }
        byte[] input = json.getBytes(StandardCharsets.UTF_8);
        int place = call(instance, "input", input.length);
        if (place == 0) {
            throw new IllegalArgumentException("the input has " + input.length + " bytes, more than the module takes");
        }
        instance.memory().write(place, input);
        int code = call(instance, hook);
        byte[] output = instance.memory().readBytes(call(instance, "output"), call(instance, "output_length"));
        return new Answer(code, new String(output, StandardCharsets.UTF_8));
    }

    private static int call(Instance instance, String name, long... arguments) {
        return (int) instance.export(name).apply(arguments)[0];
    }

    public static void main(String[] arguments) throws IOException {
        Host host = new Host(new File(arguments[0]));
        List<String> lines = Files.readAllLines(Path.of(arguments[1]));
        String history = "[" + String.join(",", lines) + "]";
        List<Answer> answers = List.of(
                host.ask("start", lines.get(0)), host.ask("step", lines.get(1)), host.ask("finish", history), host.ask("merge", history));
        for (Answer answer : answers) {
            System.out.write((answer.json() + "\n").getBytes(StandardCharsets.UTF_8));
        }
        System.out.flush();
        System.exit(answers.stream().mapToInt(Answer::code).max().orElse(0));
    }
}
