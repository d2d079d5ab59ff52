import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import pipefold.PipefoldException;
import pipefold.PipefoldException.Status;
import pipefold.Reporter;
import sun.misc.Signal;

/**
 * Calls libpipefold from many threads of a JVM behind a policy that misbehaves, while the JVM is made to use its signals and to collect garbage.
 *
 * <pre>java Stress policy.wasm spool calls</pre>
 *
 * Prints numbers, and ends with 1 if a call had another result than it must have, a signal was lost, or memory grew.
 */
public class Stress {
    private static final int THREADS = 16;
    /** Of resident memory, after the first tenth of the calls. */
    private static final long MOST_GROWTH_MIB = 64;

    /** What is asked, of each thousand calls so many. */
    private enum Kind {
        MERGE(750), REFUSED(180), INVALID(30), START(15), STEP(12), FINISH(4), TRAP(5), RECURSE(2), LOOP(1), ALLOCATE(1);

        final int share;

        Kind(int share) {
            this.share = share;
        }

        /** The kind of the call with this number: all kinds are mixed, in each thread. */
        static Kind of(long number) {
            long place = number * 617 % 1000; // 617 and 1000 have no common divisor: each place comes once in a thousand.
            for (Kind kind : values()) {
                place -= kind.share;
                if (place < 0) {
                    return kind;
                }
            }
            throw new AssertionError();
        }
    }

    private final Reporter reporter;
    private final long calls;
    private final AtomicLong done = new AtomicLong();
    private final AtomicLong nullPointers = new AtomicLong();
    private final AtomicLong overflows = new AtomicLong();
    private final AtomicLong messages = new AtomicLong();
    private final AtomicLong late = new AtomicLong();
    private final AtomicBoolean ended = new AtomicBoolean();
    /** Null; not a constant to the compiler. */
    private volatile int[] nothing;

    private Stress(String policy, String spool, long calls) throws PipefoldException {
        this.calls = calls;
        // The same policy twice: its failures are passed over at first, with a message of the log, and then they count.
        List<Map<String, String>> policies = List.of(
                Map.of("name", "open", "file", policy, "failure", "open"), Map.of("name", "closed", "file", policy));
        Map<String, Object> config = Map.of("spool", spool, "policy", policies);
        reporter = new Reporter(config, (message, level) -> messages.incrementAndGet());
    }

    public static void main(String[] arguments) throws Exception {
        // Those of this program first: the library's would be new ones.
        Signal.handle(new Signal("USR1"), signal -> {});
        String signals = caught();
        Stress stress = new Stress(arguments[0], arguments[1], Long.parseLong(arguments[2]));
        System.out.printf("java %s, libpipefold %s, %d calls from %d threads%n",
                System.getProperty("java.version"), Reporter.version(), stress.calls, THREADS);
        boolean good = false;
        try {
            good = stress.run();
        } catch (ExecutionException failure) {
            System.out.println("FAILED: " + failure.getCause());
        }
        if (!signals.equals(caught())) {
            System.out.println("FAILED: handled signals were " + signals + " before, and are " + caught());
            good = false;
        }
        System.exit(good ? 0 : 1);
    }

    private boolean run() throws Exception {
        long began = System.nanoTime();
        ExecutorService others = Executors.newCachedThreadPool();
        Future<long[]> signals = others.submit(this::signals);
        Future<Long> collections = others.submit(this::collections);
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        List<Future<?>> workers = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
            int first = thread;
            workers.add(threads.submit(() -> {
                for (long number = first; number < calls; number += THREADS) {
                    call(number);
                    faults(number);
                    done.incrementAndGet();
                }
                return null;
            }));
        }
        List<Long> memory = new ArrayList<>();
        for (int tenth = 1; tenth < 10; tenth++) {
            while (done.get() < calls * tenth / 10 && workers.stream().noneMatch(Future::isDone)) {
                Thread.sleep(5);
            }
            memory.add(residentMib());
        }
        for (Future<?> worker : workers) {
            worker.get();
        }
        memory.add(residentMib());
        ended.set(true);
        long[] sent = signals.get();
        long collected = collections.get();
        threads.shutdown();
        others.shutdown();
        reporter.close();

        System.out.printf("%d calls in %.1f s, %d judged late, %d messages of the log, %d collections of garbage%n",
                done.get(), (System.nanoTime() - began) / 1e9, late.get(), messages.get(), collected);
        System.out.printf("SIGUSR1: %d sent, %d handled; SIGQUIT: %d sent%n", sent[0], sent[1], sent[2]);
        System.out.printf("null pointers: %d used, %d caught; stacks that overflowed: %d, %d caught%n",
                calls, nullPointers.get(), calls / 100, overflows.get());
        System.out.println("resident memory in MiB, at each tenth of the calls: " + memory);
        long growth = memory.get(9) - memory.get(0);
        return done.get() == calls && late.get() <= calls / 100 && sent[0] == sent[1] && sent[0] > 0 && nullPointers.get() == calls && overflows.get() == calls / 100
                && collected > 0 && growth < MOST_GROWTH_MIB;
    }

    /** Makes one call, and fails if its result is another than that of its kind. */
    private void call(long number) throws Exception {
        Kind kind = Kind.of(number);
        Map<String, String> run = Map.of("pipeline_name", "stress", "pipeline_source", "java", "reference_id", "run-" + number / 1000,
                "started_at", "2025-01-01T12:00:00Z");
        try {
            switch (kind) {
                case MERGE -> require(kind, reporter.merge(List.of(run, with(run, "status", "success"))).getAsJsonObject("run")
                        .get("status").getAsString().equals("success"));
                case START -> verdict(kind, reporter.start(run), "report");
                case STEP -> verdict(kind, reporter.step(with(run, "step", "step-" + number)), "hold");
                case FINISH -> verdict(kind, reporter.finish(with(run, "status", "success")), "report");
                case REFUSED -> require(kind, isLate(reporter.step(with(run, "status", "won"))));
                case INVALID -> require(kind, reporter.start(List.of(number)) == null);
                // It is recorded, and waits for a flush that can judge it.
                default -> verdict(kind, reporter.step(with(with(run, "step", "step"), "head_branch", kind.name().toLowerCase(Locale.ROOT))), null);
            }
        } catch (PipefoldException failure) {
            if (!failure.status().name().equals(kind.name())) {
                throw failure;
            }
        }
    }

    private static void require(Kind kind, boolean right) {
        if (!right) {
            throw new AssertionError("a wrong answer to " + kind);
        }
    }

    private void verdict(Kind kind, JsonObject receipt, String verdict) {
        String given = receipt.get("verdict").isJsonNull() ? null : receipt.get("verdict").getAsString();
        boolean right = Objects.equals(given, verdict) || isLate(receipt);
        if (!right || !receipt.get("on_disk").getAsBoolean()) {
            throw new AssertionError("a wrong answer to " + kind + ": " + receipt);
        }
    }

    /** Whether a good notification waits for a flush, since this machine was so busy that a policy took too long. */
    private boolean isLate(JsonObject receipt) {
        boolean late = receipt.get("verdict").isJsonNull() && receipt.get("warnings").toString().contains("time limit");
        if (late) {
            this.late.incrementAndGet();
        }
        return late;
    }

    private static Map<String, String> with(Map<String, String> map, String key, String value) {
        Map<String, String> more = new HashMap<>(map);
        more.put(key, value);
        return more;
    }

    /** What the JVM finds out by SIGSEGV: that a pointer is null, and that a stack is full. */
    private void faults(long number) {
        try {
            nothing[0]++;
        } catch (NullPointerException expected) {
            nullPointers.incrementAndGet();
        }
        if (number % 100 == 0) {
            try {
                recurse(number);
            } catch (StackOverflowError expected) {
                overflows.incrementAndGet();
            }
        }
    }

    private static long recurse(long depth) {
        return Long.rotateLeft(recurse(depth + 1), 5) - depth;
    }

    /** Sends signals to this process by a child process, each when the one before was handled: equal ones that wait are one. */
    private long[] signals() throws Exception {
        Semaphore handled = new Semaphore(0);
        Signal.handle(new Signal("USR1"), signal -> handled.release());
        long[] numbers = new long[3];
        while (!ended.get()) {
            send("USR1");
            numbers[0]++;
            if (handled.tryAcquire(10, TimeUnit.SECONDS)) {
                numbers[1]++;
            }
            // The JVM prints the stacks of all threads.
            if (numbers[0] % 10 == 0) {
                send("QUIT");
                numbers[2]++;
            }
            Thread.sleep(50);
        }
        return numbers;
    }

    private static void send(String signal) throws IOException, InterruptedException {
        new ProcessBuilder("kill", "-" + signal, String.valueOf(ProcessHandle.current().pid())).start().waitFor();
    }

    /** Each stops all threads, by a page of memory that they run into. */
    private long collections() throws InterruptedException {
        long count = 0;
        for (; !ended.get(); count++) {
            System.gc();
            Thread.sleep(100);
        }
        return count;
    }

    private static long residentMib() throws IOException {
        return Long.parseLong(status("VmRSS:").replaceAll("[^0-9]", "")) / 1024;
    }

    /** The set of signals that this process handles. */
    private static String caught() throws IOException {
        return status("SigCgt:");
    }

    private static String status(String name) throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith(name))
                .findFirst()
                .map(line -> line.substring(name.length()).strip())
                .orElseThrow();
    }
}
