//go:build ignore

// What Argo's own functions make of workflows that are retried, resubmitted, resumed or stopped: questions as JSON on
// stdin, answers on stdout. See record.py.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/pkg/client/clientset/versioned/fake"
	"github.com/argoproj/argo-workflows/v4/util/logging"
	hydrator "github.com/argoproj/argo-workflows/v4/workflow/hydrator/fake"
	"github.com/argoproj/argo-workflows/v4/workflow/util"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type question struct {
	Verb       string            `json:"verb"`
	Workflow   v1alpha1.Workflow `json:"workflow"`
	Parameters []string          `json:"parameters"`
	Restart    bool              `json:"restart"`
	Selector   string            `json:"selector"`
	Message    string            `json:"message"`
}

func answer(ctx context.Context, q question) (found *v1alpha1.Workflow, pods []string, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v", problem)
		}
	}()
	given := q.Workflow.DeepCopy()
	given.Namespace = "argo"
	switch q.Verb {
	case "retry":
		return util.FormulateRetryWorkflow(ctx, given, q.Restart, q.Selector, q.Parameters)
	case "resubmit", "memoized":
		found, err = util.FormulateResubmitWorkflow(ctx, given, q.Verb == "memoized", q.Parameters)
		return found, nil, err
	}
	client := fake.NewSimpleClientset(given).ArgoprojV1alpha1().Workflows("argo")
	if q.Verb == "resume" {
		err = util.ResumeWorkflow(ctx, client, hydrator.Noop, given.Name, q.Selector)
	} else {
		err = util.StopWorkflow(ctx, client, hydrator.Noop, given.Name, q.Selector, q.Message)
	}
	if err != nil {
		return nil, nil, err
	}
	found, err = client.Get(ctx, given.Name, metav1.GetOptions{})
	return found, nil, err
}

func main() {
	ctx := logging.WithLogger(context.Background(), logging.NewSlogLogger(logging.Error, logging.JSON))
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := []map[string]any{}
	for _, each := range asked {
		found, pods, err := answer(ctx, each)
		if err != nil {
			answers = append(answers, map[string]any{"error": err.Error()})
		} else {
			answers = append(answers, map[string]any{"workflow": found, "pods": pods})
		}
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
