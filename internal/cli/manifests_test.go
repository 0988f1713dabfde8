package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/serve"
)

// manifest is what the server's own parsers can tell of a Kubernetes object. That it has
// the form of the API is tested beside the files, in deploy/kubernetes.
type manifest struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				Containers []struct {
					Args []string
					Env  []struct {
						Name, Value string
						ValueFrom   struct {
							ConfigMapKeyRef struct{ Name, Key string } `yaml:"configMapKeyRef"`
							SecretKeyRef    struct{ Name, Key string } `yaml:"secretKeyRef"`
						} `yaml:"valueFrom"`
					}
				}
			}
		}
	}
}

// TestManifestsRun runs what the manifests of deploy/kubernetes say: flags, environment
// and scenarios are those of this program, and the Pods of the Job are the segments of one
// whole.
func TestManifestsRun(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy/kubernetes/*.yaml"))
	require.NoError(t, err)
	data := map[string]map[string]string{} // of ConfigMaps
	var workloads []manifest
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var m manifest
			require.NoError(t, yaml.Unmarshal(document, &m), file)
			switch m.Kind {
			case "ConfigMap":
				data[m.Metadata.Name] = m.Data
			case "Deployment", "Job":
				workloads = append(workloads, m)
			}
		}
	}
	scenarios := t.TempDir()
	for name, files := range data {
		for file, text := range files {
			if !strings.HasSuffix(file, ".yaml") {
				continue
			}
			s, err := loadgen.ParseScenarioFile("shop", file, []byte(text))
			require.NoError(t, err, "ConfigMap %s", name)
			assert.NotEmpty(t, s.TaskNames())
			require.NoError(t, os.WriteFile(filepath.Join(scenarios, file), []byte(text), 0o600))
		}
	}
	var ran []string
	for _, m := range workloads {
		c := m.Spec.Template.Spec.Containers[0]
		env := map[string]string{}
		for _, e := range c.Env {
			switch from := e.ValueFrom; {
			case from.SecretKeyRef.Name != "":
				env[e.Name] = "0123456789abcdef0123456789abcdef"
			case from.ConfigMapKeyRef.Name != "":
				env[e.Name] = data[from.ConfigMapKeyRef.Name][from.ConfigMapKeyRef.Key]
			default:
				env[e.Name] = e.Value
			}
		}
		var args []string
		for _, arg := range c.Args {
			for name, value := range env {
				arg = strings.ReplaceAll(arg, "$("+name+")", value)
			}
			assert.NotContains(t, arg, "$(", "a variable that is not set")
			args = append(args, strings.ReplaceAll(arg, "/scenarios", scenarios))
		}
		ran = append(ran, args[0])
		switch args[0] {
		case "serve":
			a := &serve.App{}
			fs := a.Flags()
			_, err := command.Parse(fs, args[1:])
			require.NoError(t, err)
			known := map[string]bool{"WS": true}
			for _, row := range command.Table(fs, serve.EnvName) {
				known[row.Env] = true
			}
			for name := range env {
				assert.True(t, known[name], "there is no setting %s", name)
			}
			require.NoError(t, a.Load(fs, (&command.System{LookupEnv: environ(env)}).Getenv))
			assert.False(t, serve.IsStandalone(environ(env)))
			assert.NotEmpty(t, a.Token)
			assert.False(t, a.InsecureNoAuth)
		case "run":
			env[indexVariable] = "3"
			var out bytes.Buffer
			sys := &command.System{LookupEnv: environ(env), Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, Hard: &command.HardStop{}}
			require.NoError(t, Commands().Run(t.Context(), sys, append(args, "-dry-run")))
			var cfg loadgen.JobConfig
			require.NoError(t, json.Unmarshal(out.Bytes(), &cfg))
			assert.Equal(t, 4, cfg.Segment.Index)
			assert.NotNil(t, cfg.Pacer())
		}
	}
	assert.ElementsMatch(t, []string{"serve", "run"}, ran)
}
