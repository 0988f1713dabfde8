package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of all files, by kind and name, decoded such that a key which
// the API does not have, or a value of a wrong kind, is an error.
func manifests(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]any{}
	for _, file := range files {
		f, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, document := range bytes.Split(f, []byte("\n---\n")) {
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			require.NoError(t, yaml.Unmarshal(document, &head), "%s, document %d", file, i+1)
			var object any
			switch head.APIVersion + " " + head.Kind {
			case "v1 Service":
				object = &corev1.Service{}
			case "v1 ConfigMap":
				object = &corev1.ConfigMap{}
			case "apps/v1 Deployment":
				object = &appsv1.Deployment{}
			case "batch/v1 Job":
				object = &batchv1.Job{}
			default:
				require.Fail(t, "unknown kind", "%s, document %d: %s %s", file, i+1, head.APIVersion, head.Kind)
			}
			require.NoError(t, yaml.UnmarshalStrict(document, object), "%s, document %d", file, i+1)
			key := head.Kind + " " + head.Metadata.Name
			require.NotContains(t, all, key, "an object twice")
			all[key] = object
		}
	}
	return all
}

func TestManifestsHaveTheFormOfTheAPI(t *testing.T) {
	all := manifests(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	assert.ElementsMatch(t, []string{"Service loadgen", "ConfigMap loadgen-scenarios", "Deployment loadgen", "ConfigMap loadgen-run", "Job loadgen-run"}, names)
}

// A mistake in a manifest does not pass: the test of the test.
func TestStrictDecoding(t *testing.T) {
	for _, bad := range []string{"spec: {replica: 1}", "spec: {replicas: many}", "spec: {replicas: 1, replicas: 2}"} {
		assert.Error(t, yaml.UnmarshalStrict([]byte(bad), &appsv1.Deployment{}), bad)
	}
}

func TestTheServiceLeadsToTheServer(t *testing.T) {
	all := manifests(t)
	service, server := all["Service loadgen"].(*corev1.Service), all["Deployment loadgen"].(*appsv1.Deployment)
	assert.Equal(t, server.Spec.Selector.MatchLabels, server.Spec.Template.Labels)
	assert.Equal(t, service.Spec.Selector, server.Spec.Template.Labels)
	port := server.Spec.Template.Spec.Containers[0].Ports[0]
	assert.Equal(t, port.Name, service.Spec.Ports[0].TargetPort.String())
	assert.Equal(t, port.Name, server.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Port.String())
	for _, env := range server.Spec.Template.Spec.Containers[0].Env {
		if env.Name == "LOADGEN_ADDR" {
			assert.True(t, strings.HasSuffix(env.Value, fmt.Sprintf(":%d", port.ContainerPort)), env.Value)
		}
	}
}

// Each Pod is a segment, all run at a time, and there are as many as are said.
func TestTheJobRunsAllSegments(t *testing.T) {
	job := manifests(t)["Job loadgen-run"].(*batchv1.Job)
	require.NotNil(t, job.Spec.CompletionMode)
	assert.Equal(t, batchv1.IndexedCompletion, *job.Spec.CompletionMode)
	assert.Equal(t, *job.Spec.Completions, *job.Spec.Parallelism)
	assert.Contains(t, job.Spec.Template.Spec.Containers[0].Args, fmt.Sprintf("-segment=%d", *job.Spec.Completions))
	assert.Equal(t, corev1.RestartPolicyNever, job.Spec.Template.Spec.RestartPolicy)
	assert.Zero(t, *job.Spec.BackoffLimitPerIndex)
	assert.Equal(t, job.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels, job.Spec.Template.Labels)
}

// What Pods mount and read is there, and they run with as little as they need.
func TestPods(t *testing.T) {
	all := manifests(t)
	for name, pod := range map[string]corev1.PodSpec{
		"server":  all["Deployment loadgen"].(*appsv1.Deployment).Spec.Template.Spec,
		"segment": all["Job loadgen-run"].(*batchv1.Job).Spec.Template.Spec,
	} {
		t.Run(name, func(t *testing.T) {
			volumes := map[string]bool{}
			for _, v := range pod.Volumes {
				volumes[v.Name] = true
				if v.ConfigMap == nil {
					continue
				}
				config, ok := all["ConfigMap "+v.ConfigMap.Name].(*corev1.ConfigMap)
				require.True(t, ok, v.ConfigMap.Name)
				for _, item := range v.ConfigMap.Items {
					assert.Contains(t, config.Data, item.Key)
				}
			}
			for _, c := range pod.Containers {
				for _, m := range c.VolumeMounts {
					assert.True(t, volumes[m.Name], m.Name)
				}
				for _, env := range c.Env {
					if env.ValueFrom == nil || env.ValueFrom.ConfigMapKeyRef == nil {
						continue
					}
					ref := env.ValueFrom.ConfigMapKeyRef
					config, ok := all["ConfigMap "+ref.Name].(*corev1.ConfigMap)
					require.True(t, ok, ref.Name)
					assert.Contains(t, config.Data, ref.Key)
				}
				assert.Equal(t, c.Resources.Requests.Cpu(), c.Resources.Limits.Cpu(), "a share of the CPU that nobody takes away")
				assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
				assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
				assert.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
			}
			assert.True(t, *pod.SecurityContext.RunAsNonRoot)
			assert.False(t, *pod.AutomountServiceAccountToken)
		})
	}
}
