package main

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"example.com/pipefold"
)

// kinds is what is asked: of each thousand calls so many.
var kinds = []struct {
	name  string
	share int64
}{
	{"merge", 750}, {"refused", 180}, {"invalid", 30}, {"start", 15}, {"step", 12}, {"finish", 4},
	// These are a policy's. A notification that it fails at is recorded, and waits for a flush that can judge it.
	{"trap", 5}, {"recurse", 2}, {"loop", 1}, {"allocate", 1},
}

// kind is that of the call with this number: all kinds are mixed, in each thread.
func kind(number int64) string {
	place := number * 617 % 1000 // 617 and 1000 have no common divisor: each place comes once in a thousand.
	for _, kind := range kinds {
		if place -= kind.share; place < 0 {
			return kind.name
		}
	}
	panic("the shares are not a thousand")
}

// call makes a call, and gives an error if its result is another than that of its kind.
func call(reporter *pipefold.Reporter, number int64) error {
	run := pipefold.Notification{
		PipelineName:   "stress",
		PipelineSource: "go",
		ReferenceID:    fmt.Sprintf("run-%d", number/1000),
		StartedAt:      "2025-01-01T12:00:00Z",
	}
	switch kind := kind(number); kind {
	case "merge":
		end := run
		end.Status = pipefold.Success
		_, err := reporter.Merge([]pipefold.Notification{run, end})
		return err
	case "start":
		return verdict("report")(reporter.Start(run))
	case "step":
		run.Step = fmt.Sprintf("step-%d", number)
		return verdict("hold")(reporter.Step(run))
	case "finish":
		run.Status = pipefold.Success
		return verdict("report")(reporter.Finish(run))
	case "refused":
		run.Status = "won"
		receipt, err := reporter.Step(run)
		if err == nil && isLate(receipt) {
			return nil
		}
		return status(err, pipefold.Refused)
	case "invalid":
		_, err := reporter.Flush(&pipefold.FlushOptions{Timeout: "soon"})
		return status(err, pipefold.Invalid)
	default:
		run.Step, run.HeadBranch = "step", kind
		return verdict("")(reporter.Step(run))
	}
}

func verdict(wanted string) func(*pipefold.Receipt, error) error {
	return func(receipt *pipefold.Receipt, err error) error {
		if err == nil && !(receipt.OnDisk && (receipt.Verdict == wanted || isLate(receipt))) {
			return fmt.Errorf("not %q: %+v", wanted, receipt)
		}
		return err
	}
}

// late counts the good notifications that wait for a flush, since this machine was so busy that a policy took too long.
var late atomic.Int64

func isLate(receipt *pipefold.Receipt) bool {
	is := receipt.Verdict == "" && strings.Contains(strings.Join(receipt.Warnings, "\n"), "time limit")
	if is {
		late.Add(1)
	}
	return is
}

func status(err error, wanted pipefold.Status) error {
	var failure *pipefold.Error
	if errors.As(err, &failure) && failure.Status == wanted {
		return nil
	}
	return fmt.Errorf("not status %d: %w", wanted, err)
}
