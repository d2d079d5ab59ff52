using System;
using System.Runtime.InteropServices;
using System.Text;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

/// <summary>libpipefold in C#, by P/Invoke: reports runs to DX.</summary>
namespace Pipefold
{
    /// <summary>Whose fault it is that the library could not do something.</summary>
    public enum Status
    {
        /// <summary>The notification breaks rules, and was not recorded.</summary>
        Refused = 1,
        /// <summary>An argument, the configuration or the JSON is wrong.</summary>
        Invalid,
        /// <summary>The library could not do it.</summary>
        Failed,
        /// <summary>The reporter was opened before a fork.</summary>
        Forked,
    }

    /// <summary>What the library could not do.</summary>
    public sealed class PipefoldException : Exception
    {
        internal PipefoldException(int status, JObject answer)
            : base((string)answer["error"] ?? $"libpipefold failed with status {status}")
        {
            Status = Enum.IsDefined(typeof(Status), status) ? (Status)status : Status.Failed;
            Violations = (JArray)answer["violations"] ?? new JArray();
        }

        /// <summary>Whose fault it is.</summary>
        public Status Status { get; }

        /// <summary>The rules that a refused notification breaks: objects with `field`, `fault` and `message`.</summary>
        public JArray Violations { get; }
    }

    /// <summary>Reports runs to DX. Any number of threads may use it at once. Each call records on disk before it returns. Values are anything that
    /// Newtonsoft.Json makes JSON of: a JObject, dictionaries, objects with DX's names.</summary>
    public sealed class Reporter : IDisposable
    {
        private readonly Handle reporter;
        // The library has its place, which the garbage collection does not know of: this keeps it.
        private readonly Native.Log log;

        /// <param name="config">The keys of pipefold.toml, and `token`; if it is null all is read from the environment and files, as by the
        /// command.</param>
        /// <param name="log">Gets messages and their level, 1 for errors to 5 for traces, in the thread of the call that they are about. It must not
        /// throw.</param>
        public Reporter(object config, Action<int, string> log = null)
        {
            uint abi = Native.pipefold_abi();
            if (abi != Native.Abi)
            {
                throw new DllNotFoundException($"libpipefold {Version} has interface {abi}, and this program needs interface {Native.Abi}");
            }
            if (log != null)
            {
                this.log = (context, level, message) => log(level, Text(message));
            }
            byte[] text = config == null ? null : Json(config);
            int status = Native.pipefold_open(text, Length(text), this.log, IntPtr.Zero, out reporter, out IntPtr answer);
            Take(status, answer);
        }

        /// <summary>The version of the library.</summary>
        public static string Version => Text(Native.pipefold_version());

        /// <summary>Reports that a run began. Gives the receipt.</summary>
        public JObject Start(object run) => Ask(Native.pipefold_start, run);

        /// <summary>Reports that a step began or ended. Gives the receipt.</summary>
        public JObject Step(object step) => Ask(Native.pipefold_step, step);

        /// <summary>Reports that a run ended, and sends it. Gives the receipt.</summary>
        public JObject Finish(object run) => Ask(Native.pipefold_finish, run);

        /// <summary>Sends what waits. The options are those of `pipefold flush`, such as `timeout`; they may be null.</summary>
        public JObject Flush(object options = null) => Ask(Native.pipefold_flush, options);

        /// <summary>Folds the notifications of one run by DX's rule. Records and sends nothing.</summary>
        public JObject Merge(object history) => Ask(Native.pipefold_merge, history);

        /// <summary>Frees the reporter, after the calls that are running. What was not sent stays on disk. Later calls fail.</summary>
        public void Dispose() => reporter.Dispose();

        private delegate int Call(Handle reporter, byte[] text, UIntPtr length, out IntPtr answer);

        private JObject Ask(Call call, object value)
        {
            byte[] text = value == null ? null : Json(value);
            int status = call(reporter, text, Length(text), out IntPtr answer);
            JObject said = Take(status, answer);
            GC.KeepAlive(log);
            return said;
        }

        /// <summary>Reads the answer, and gives it back to the library.</summary>
        private static JObject Take(int status, IntPtr answer)
        {
            JObject said;
            try
            {
                said = answer == IntPtr.Zero ? new JObject() : Parse(Text(answer));
            }
            finally
            {
                Native.pipefold_free(answer);
            }
            return status == 0 ? said : throw new PipefoldException(status, said);
        }

        /// <summary>Texts that look like a time stay texts.</summary>
        private static JObject Parse(string text) =>
            JsonConvert.DeserializeObject<JObject>(text, new JsonSerializerSettings { DateParseHandling = DateParseHandling.None });

        private static byte[] Json(object value) => Encoding.UTF8.GetBytes(JsonConvert.SerializeObject(value));

        private static UIntPtr Length(byte[] text) => (UIntPtr)(text == null ? 0 : text.Length);

        private static string Text(IntPtr place)
        {
            int length = 0;
            while (Marshal.ReadByte(place, length) != 0)
            {
                length++;
            }
            var bytes = new byte[length];
            Marshal.Copy(place, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }
    }

    /// <summary>A reporter of the library. A call that is running keeps it open.</summary>
    internal sealed class Handle : SafeHandle
    {
        public Handle() : base(IntPtr.Zero, true) { }

        public override bool IsInvalid => handle == IntPtr.Zero;

        protected override bool ReleaseHandle()
        {
            Native.pipefold_close(handle);
            return true;
        }
    }

    /// <summary>The functions of pipefold.h.</summary>
    internal static class Native
    {
        public const uint Abi = 1;
        private const string Library = "libpipefold.so.1";

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void Log(IntPtr context, int level, IntPtr message);

        [DllImport(Library)] public static extern uint pipefold_abi();

        [DllImport(Library)] public static extern IntPtr pipefold_version();

        [DllImport(Library)]
        public static extern int pipefold_open(byte[] config, UIntPtr length, Log log, IntPtr context, out Handle reporter, out IntPtr answer);

        [DllImport(Library)] public static extern int pipefold_start(Handle reporter, byte[] notification, UIntPtr length, out IntPtr answer);

        [DllImport(Library)] public static extern int pipefold_step(Handle reporter, byte[] notification, UIntPtr length, out IntPtr answer);

        [DllImport(Library)] public static extern int pipefold_finish(Handle reporter, byte[] notification, UIntPtr length, out IntPtr answer);

        [DllImport(Library)] public static extern int pipefold_flush(Handle reporter, byte[] options, UIntPtr length, out IntPtr answer);

        [DllImport(Library)] public static extern int pipefold_merge(Handle reporter, byte[] history, UIntPtr length, out IntPtr answer);

        [DllImport(Library)] public static extern void pipefold_free(IntPtr answer);

        [DllImport(Library)] public static extern void pipefold_close(IntPtr reporter);
    }
}
