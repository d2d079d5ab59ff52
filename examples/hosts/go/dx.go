package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// report is a verdict. Its fields are as DX has them, and go on as they came.
type report struct {
	Verdict string   `json:"verdict"`
	Run     object   `json:"run"`
	Jobs    []object `json:"jobs"`
}

type object = map[string]json.RawMessage

type dx struct{ url, token string }

func (dx *dx) report(verdict report) error {
	// DX has no field for attributes, and its page lists four statuses of a run; `unknown` is sent as none.
	run := verdict.Run
	delete(run, "attributes")
	if string(run["status"]) == `"unknown"` {
		delete(run, "status")
	}
	if err := dx.post("pipelineRuns.upsert", run); err != nil {
		return err
	}
	// DX takes a job only after its run.
	for _, job := range verdict.Jobs {
		job["pipeline_source"], job["run_reference_id"] = run["pipeline_source"], run["reference_id"]
		if err := dx.post("pipelineJobs.upsert", job); err != nil {
			return err
		}
	}
	return nil
}

func (dx *dx) post(method string, body object) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, dx.url+"/api/"+method, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+dx.token)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{
		Timeout: 10 * time.Second,
		// A token must not follow to wherever a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Ok bool }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode/100 != 2 || !answer.Ok {
		return fmt.Errorf("DX refused %s: %s", method, response.Status)
	}
	return nil
}
