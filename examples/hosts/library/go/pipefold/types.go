package pipefold

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Notification is what a host says of a run or of a step: the fields that DX has, and those of steps. An empty field is absent. The fields are
// checked by the library: see `wit/types.wit` for their meaning.
type Notification struct {
	// The names of the run. The reference ID says which run it is; all its notifications have the same one.
	PipelineName   string `json:"pipeline_name,omitempty"`
	PipelineSource string `json:"pipeline_source,omitempty"`
	ReferenceID    string `json:"reference_id,omitempty"`

	// Times as text in ISO 8601; see [Time]. An absent one is the time of the call.
	StartedAt  string    `json:"started_at,omitempty"`
	FinishedAt string    `json:"finished_at,omitempty"`
	Status     RunStatus `json:"status,omitempty"`

	Repository     string `json:"repository,omitempty"`
	CommitSHA      string `json:"commit_sha,omitempty"`
	PRNumber       int64  `json:"pr_number,omitempty"`
	SourceURL      string `json:"source_url,omitempty"`
	HeadBranch     string `json:"head_branch,omitempty"`
	Email          string `json:"email,omitempty"`
	GithubUsername string `json:"github_username,omitempty"`
	GitlabUsername string `json:"gitlab_username,omitempty"`

	// Of a step: its name, and its name that is unique in the run where the first one is not.
	Step          string `json:"step,omitempty"`
	StepID        string `json:"step_id,omitempty"`
	AllowedToFail bool   `json:"allowed_to_fail,omitempty"`
	Urgent        bool   `json:"urgent,omitempty"`

	Attributes map[string]string `json:"attributes,omitempty"`
}

// RunStatus is the status of a run or of a step.
type RunStatus string

// The statuses. Of several notifications of a run, the one that stands last here counts.
const (
	Unknown   RunStatus = "unknown"
	Running   RunStatus = "running"
	Success   RunStatus = "success"
	Cancelled RunStatus = "cancelled"
	Failure   RunStatus = "failure"
)

// Time gives a time as notifications have it.
func Time(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// Receipt is the result of reporting one notification.
type Receipt struct {
	ReferenceID string `json:"reference_id"`
	StartedAt   string `json:"started_at"`
	// The verdict of policies and rules: "report", "hold" or "discard"; empty if they could not be asked, and are asked again by a flush.
	Verdict string `json:"verdict"`
	// False if the record could not be written, and waits in memory alone.
	OnDisk bool `json:"on_disk"`
	// True if nothing of the run waits.
	Delivered bool `json:"delivered"`
	// Why something of the run waits after this call tried to send it.
	Why string `json:"why"`
	// True if DX or the rules refused the run for good, and the reason.
	Rejected bool   `json:"rejected"`
	Trouble  string `json:"trouble"`
	// Why a policy discarded the run.
	Discarded string `json:"discarded"`
	// True for a step of a run whose end was recorded before.
	AfterTheEnd bool `json:"after_the_end"`
	// What the call sent; nil if it did not try.
	Delivery *Delivery `json:"delivery"`
	// Faults that stopped nothing. A server logs them.
	Warnings []string `json:"warnings"`
}

// Delivery is the result of sending what waits.
type Delivery struct {
	// The runs and jobs that DX accepted, and the runs without activity that were ended.
	Accepted  int `json:"accepted"`
	Jobs      int `json:"jobs"`
	Abandoned int `json:"abandoned"`
	// The runs that still wait, and those that DX or the rules refused for good: how many, and the first of them.
	Kept         int           `json:"kept"`
	KeptRuns     []Undelivered `json:"kept_runs"`
	Rejected     int           `json:"rejected"`
	RejectedRuns []Undelivered `json:"rejected_runs"`
	// The runs for which no time was left.
	NotLookedAt int `json:"not_looked_at"`
	// The notifications that wait for another DX or token, and those that wait for other policies.
	Foreign       int             `json:"foreign"`
	OtherPolicies []OtherPolicies `json:"other_policies"`
	// True if another process was sending.
	Busy bool `json:"busy"`
	// Why nothing at all could be sent.
	Impossible string `json:"impossible"`
	// Faults that stopped nothing, and remarks.
	Warnings []string `json:"warnings"`
	Notes    []string `json:"notes"`
}

// Undelivered is a run that was not sent.
type Undelivered struct {
	ReferenceID string `json:"reference_id"`
	Why         string `json:"why"`
}

// OtherPolicies are policies that the reporter does not have, and the number of notifications that were recorded under them.
type OtherPolicies struct {
	Digest        string   `json:"digest"`
	Names         []string `json:"names"`
	Notifications int      `json:"notifications"`
}

// FlushOptions say what a flush sends. The zero value is everything that was recorded for this reporter's DX.
type FlushOptions struct {
	// Only the run of this reference ID.
	Run string `json:"run,omitempty"`
	// Also what was recorded for other tokens of the same DX.
	OtherTokens bool `json:"other_tokens,omitempty"`
	// This reporter's policies in the place of those that were recorded.
	Rejudge bool `json:"rejudge,omitempty"`
	// Also the runs that were refused before.
	Rejected bool `json:"rejected,omitempty"`
	// Runs without activity for so long are ended as cancelled, such as "7d".
	Abandon string `json:"abandon,omitempty"`
	// The longest that it takes, such as "10s"; 30 s if it is absent.
	Timeout string `json:"timeout,omitempty"`
}

// Status says what is wrong with a call.
type Status int32

// The statuses of an [Error].
const (
	// The notification breaks rules; the error lists the violations.
	Refused Status = iota + 1
	// An argument, the JSON or the configuration is wrong.
	Invalid
	// The library could not do it.
	Failed
	// The reporter was opened before a fork.
	Forked
)

// Error is the error of a call.
type Error struct {
	Status     Status      `json:"-"`
	Message    string      `json:"error"`
	Violations []Violation `json:"violations"`
}

// Violation is a rule that a notification breaks.
type Violation struct {
	Field   string `json:"field"`
	Fault   string `json:"fault"`
	Message string `json:"message"`
}

func (err *Error) Error() string {
	if len(err.Violations) == 0 {
		return "pipefold: " + err.Message
	}
	var all []string
	for _, violation := range err.Violations {
		all = append(all, violation.Field+": "+violation.Message)
	}
	return "pipefold: refused: " + strings.Join(all, "; ")
}

// failure makes an error of an answer.
func failure(status Status, answer []byte) error {
	err := &Error{Status: status}
	if json.Unmarshal(answer, err) != nil || err.Message == "" && len(err.Violations) == 0 {
		err.Message = fmt.Sprintf("the library failed with status %d and no text", status)
	}
	return err
}
