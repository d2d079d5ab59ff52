// A host in Go that records a run with libpipefold, and sends it to DX.
//
//	DX_API_URL=… DX_API_TOKEN=… go run . notifications.jsonl spool
//
// The first notification is the run's start and the last its finish; the others are its steps. Prints the verdict of each, what the rules say of a
// wrong one, and the run as DX's rule folds it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"example.com/pipefold"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(notifications, spool string) error {
	history, err := read(notifications)
	if err != nil {
		return err
	}
	config := map[string]string{"dx_url": os.Getenv("DX_API_URL"), "token": os.Getenv("DX_API_TOKEN"), "spool": spool}
	reporter, err := pipefold.Open(config, func(level pipefold.Level, message string) { log.Printf("%s: %s", level, message) })
	if err != nil {
		return err
	}
	defer reporter.Close()

	last := len(history) - 1
	for i, notification := range history {
		name, call := "step", reporter.Step
		switch i {
		case 0:
			name, call = "start", reporter.Start
		case last:
			name, call = "finish", reporter.Finish
		}
		receipt, err := call(notification)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(name, receipt.Verdict)
		// It is recorded all the same, and sent by a later call or flush.
		if receipt.Trouble != "" {
			log.Print(receipt.Trouble)
		}
	}

	wrong := history[1]
	wrong.Status = "won"
	var refused *pipefold.Error
	if _, err := reporter.Step(wrong); !errors.As(err, &refused) || refused.Status != pipefold.Refused {
		return fmt.Errorf("a wrong step was not refused: %w", err)
	}
	fmt.Println("refused", refused.Violations[0].Field, refused.Violations[0].Fault)

	merged, err := reporter.Merge(history)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", merged)
	return nil
}

func read(path string) ([]pipefold.Notification, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var history []pipefold.Notification
	for lines := json.NewDecoder(file); ; {
		var notification pipefold.Notification
		if err := lines.Decode(&notification); err == io.EOF {
			return history, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		history = append(history, notification)
	}
}
