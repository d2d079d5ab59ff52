// A host in Go, without cgo or packages: asks one `pipefold hook --stream`, for as many runs as there are.
//
//	go run . notifications.jsonl
//
// Prints what each hook says, one JSON object a line. With DX_API_URL and DX_API_TOKEN it then sends the run and its jobs to DX.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(path string) error {
	notifications, err := read(path)
	if err != nil {
		return err
	}
	hooks, err := startHooks()
	if err != nil {
		return err
	}
	defer hooks.close()

	var finish []byte
	for _, question := range []question{
		{Hook: "start", Notification: notifications[0]},
		{Hook: "step", Notification: notifications[1]},
		{Hook: "finish", History: notifications},
		{Hook: "merge", History: notifications},
	} {
		answer, err := hooks.ask(question)
		if err != nil {
			return fmt.Errorf("%s: %w", question.Hook, err)
		}
		fmt.Printf("%s\n", answer)
		if question.Hook == "finish" {
			finish = answer
		}
	}

	var verdict report
	if err := json.Unmarshal(finish, &verdict); err != nil {
		return err
	}
	if url := os.Getenv("DX_API_URL"); url != "" && verdict.Verdict == "report" {
		return (&dx{url, os.Getenv("DX_API_TOKEN")}).report(verdict)
	}
	return nil
}

func read(path string) ([]json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var notifications []json.RawMessage
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		notifications = append(notifications, line)
	}
	return notifications, nil
}
