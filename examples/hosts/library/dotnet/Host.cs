using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;
using Pipefold;

/// <summary>A host in C# that records a run with libpipefold, and sends it to DX: DX_API_URL=… DX_API_TOKEN=… Host notifications.jsonl spool
///
/// The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of a
/// wrong one, and the run as DX's rule folds it.</summary>
internal static class Host
{
    private static void Main(string[] arguments)
    {
        Console.SetOut(new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true });
        var asText = new JsonSerializerSettings { DateParseHandling = DateParseHandling.None };
        List<JObject> history = File.ReadLines(arguments[0]).Select(line => JsonConvert.DeserializeObject<JObject>(line, asText)).ToList();
        var config = new Dictionary<string, string>
        {
            ["dx_url"] = Environment.GetEnvironmentVariable("DX_API_URL"),
            ["token"] = Environment.GetEnvironmentVariable("DX_API_TOKEN"),
            ["spool"] = arguments[1],
        };

        using (var reporter = new Reporter(config, (level, message) => Console.Error.WriteLine($"{level}: {message}")))
        {
            Say("start", reporter.Start(history[0]));
            foreach (JObject step in history.Skip(1).Take(history.Count - 2))
            {
                Say("step", reporter.Step(step));
            }
            Say("finish", reporter.Finish(history[history.Count - 1]));

            var wrong = new JObject(history[1]) { ["status"] = "won" };
            try
            {
                reporter.Step(wrong);
            }
            catch (PipefoldException refused) when (refused.Status == Status.Refused)
            {
                Console.WriteLine($"refused {refused.Violations[0]["field"]} {refused.Violations[0]["fault"]}");
            }
            // The library sorts the names, and a JObject keeps their order.
            Console.WriteLine(reporter.Merge(history).ToString(Formatting.None));
        }
    }

    private static void Say(string call, JObject receipt)
    {
        Console.WriteLine($"{call} {receipt["verdict"]}");
        // It is recorded all the same, and sent by a later call or flush.
        if (receipt["trouble"].Type != JTokenType.Null)
        {
            Console.Error.WriteLine(receipt["trouble"]);
        }
    }
}
