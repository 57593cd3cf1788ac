// What Kubernetes, robfig/cron and Argo answer: questions as JSON on stdin, answers on stdout. See record.py.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-workflows/v4/pkg/apis/workflow/v1alpha1"
	"github.com/argoproj/argo-workflows/v4/workflow/util"
	"github.com/robfig/cron/v3"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]any{
	"Service": corev1.Service{}, "Pod": corev1.Pod{}, "PodSpec": corev1.PodSpec{}, "Container": corev1.Container{},
	"ServiceAccount": corev1.ServiceAccount{}, "Secret": corev1.Secret{}, "ConfigMap": corev1.ConfigMap{},
	"Deployment": appsv1.Deployment{}, "StatefulSet": appsv1.StatefulSet{}, "Job": batchv1.Job{},
	"Template": v1alpha1.Template{}, "Workflow": v1alpha1.Workflow{},
}

type question struct {
	Ask      string              `json:"ask"`
	Text     string              `json:"text"`
	Zone     string              `json:"zone"`
	After    []int64             `json:"after"`
	Labels   []map[string]string `json:"labels"`
	Nodes    json.RawMessage     `json:"nodes"`
	Kind     string              `json:"kind"`
	Original json.RawMessage     `json:"original"`
	Patch    json.RawMessage     `json:"patch"`
}

func answer(q question) (result any, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			result, err = nil, fmt.Errorf("panic: %v", problem)
		}
	}()
	switch q.Ask {
	case "labels":
		selector, err := labels.Parse(q.Text)
		if err != nil {
			return nil, err
		}
		found := []bool{}
		for _, each := range q.Labels {
			found = append(found, selector.Matches(labels.Set(each)))
		}
		return found, nil
	case "quantity":
		found, err := resource.ParseQuantity(q.Text)
		return found.AsApproximateFloat64(), err
	case "fields":
		selector, err := fields.ParseSelector(q.Text)
		if err != nil {
			return nil, err
		}
		var nodes []v1alpha1.NodeStatus
		if err := json.Unmarshal(q.Nodes, &nodes); err != nil {
			panic(err)
		}
		found := []bool{}
		for _, node := range nodes {
			found = append(found, util.SelectorMatchesNode(selector, node))
		}
		return found, nil
	case "schedule":
		spec := v1alpha1.CronWorkflowSpec{Schedules: []string{q.Text}, Timezone: q.Zone}
		if _, err := cron.ParseStandard(q.Text); err != nil {
			return nil, err
		}
		schedule, err := cron.ParseStandard(spec.GetSchedulesWithTimezone()[0])
		if err != nil {
			return nil, fmt.Errorf("with the zone: %w", err)
		}
		found := [][]int64{}
		for _, after := range q.After {
			times := []int64{}
			moment := time.Unix(after, 0).UTC()
			for len(times) < 3 {
				moment = schedule.Next(moment)
				if moment.IsZero() {
					break
				}
				times = append(times, moment.Unix())
			}
			found = append(found, times)
		}
		return found, nil
	case "strategic":
		out, err := strategicpatch.StrategicMergePatch(q.Original, q.Patch, kinds[q.Kind])
		return json.RawMessage(out), err
	case "merge":
		out, err := jsonpatch.MergePatch(q.Original, q.Patch)
		return json.RawMessage(out), err
	case "json":
		patch, err := jsonpatch.DecodePatch(q.Patch)
		if err != nil {
			return nil, err
		}
		out, err := patch.Apply(q.Original)
		return json.RawMessage(out), err
	case "apply": // kubectl apply: text is what was applied last
		schema, err := strategicpatch.NewPatchMetaFromStruct(kinds[q.Kind])
		if err != nil {
			return nil, err
		}
		patch, err := strategicpatch.CreateThreeWayMergePatch([]byte(q.Text), q.Patch, q.Original, schema, true)
		if err != nil {
			return nil, err
		}
		out, err := strategicpatch.StrategicMergePatch(q.Original, patch, kinds[q.Kind])
		return json.RawMessage(out), err
	case "any_string":
		var found v1alpha1.AnyString
		err := yaml.Unmarshal([]byte(q.Text), &found)
		return found.String(), err
	case "time":
		var moment metav1.Time
		if err := json.Unmarshal([]byte(q.Text), &moment); err != nil {
			return nil, err
		}
		if moment.IsZero() {
			return nil, nil
		}
		written, err := json.Marshal(moment)
		return []any{moment.Unix(), json.RawMessage(written)}, err
	}
	panic(q.Ask)
}

func main() {
	time.Local = time.UTC
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := []map[string]any{}
	for _, q := range questions {
		found, err := answer(q)
		each := map[string]any{"is": found}
		if err != nil {
			each = map[string]any{"refused": err.Error()}
		}
		answers = append(answers, each)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
