package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
)

// TestHelpFits holds every command to a screen of 24 lines with one example, and its
// short help to flags that there are.
func TestHelpFits(t *testing.T) {
	for _, c := range Commands().All() {
		var out bytes.Buffer
		require.NoError(t, Commands().Run(context.Background(), &command.System{Stdout: &out}, []string{c.Name, "-h"}))
		lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
		assert.LessOrEqual(t, len(lines), 24, "loadgen %s -h", c.Name)
		for _, line := range lines {
			assert.LessOrEqual(t, len(line), 130, "loadgen %s -h: %s", c.Name, line)
		}
		assert.Contains(t, out.String(), "\nExample: loadgen "+c.Name)
		assert.NotEmpty(t, c.Summary)
		for _, name := range c.Brief {
			assert.NotNil(t, c.Flags.Lookup(name), "loadgen %s has no flag -%s", c.Name, name)
		}
	}
}

// contextWithStop is the context of a command, and what a first Ctrl-C does to it.
func contextWithStop(t *testing.T) (context.Context, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// TestRunOfStandardInput runs a scenario that somebody pipes in.
func TestRunOfStandardInput(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	call := func(stdin string) (string, error) {
		var out bytes.Buffer
		sys := &command.System{LookupEnv: environ(nil), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: io.Discard, Hard: &command.HardStop{}}
		err := Commands().Run(t.Context(), sys, []string{"run", "-", "-url", target.URL, "-max-iterations", "3"})
		return out.String(), err
	}
	out, err := call("tasks: [{name: home, request: GET /}]")
	require.NoError(t, err)
	assert.Contains(t, out, "iterations  3, ")
	_, err = call("tasks: [{nmae: home}]")
	assert.Equal(t, command.ExitUsage, command.ExitCode(err))
	assert.ErrorContains(t, err, "standard input:1:")
	_, err = call(strings.Repeat("#", loadgen.MaxScenarioSize+1))
	assert.ErrorContains(t, err, "is larger than")
}

// TestRunHasAFlagForEverything holds that what a job can be told, the command line can
// say: a new field needs a flag, or a reason here.
func TestRunHasAFlagForEverything(t *testing.T) {
	names := map[string]string{
		"BaseURL": "url", "Thresholds": "threshold", "Variables": "var", "Weights": "weight", "Headers": "header",
		"HTTP": "http", "DNSTTL": "dns-ttl", "CACerts": "cacert",
		"Enabled": "trace", "Ratio": "trace-ratio", "State": "trace-state", "Header": "trace-header",
	}
	without := map[string]string{
		"Scenario": "an argument", "ScenarioName": "an argument",
		"Lease": "for who starts a job and may vanish; a command ends with its job",
	}
	flags := runCommand().Flags
	for _, config := range []reflect.Type{reflect.TypeFor[loadgen.JobConfig](), reflect.TypeFor[loadgen.ClientConfig](), reflect.TypeFor[loadgen.TraceConfig]()} {
		for i := range config.NumField() {
			field := config.Field(i)
			if group := field.Type; group.Kind() == reflect.Struct && strings.HasSuffix(group.Name(), "Config") {
				continue // has a turn of its own
			}
			name, ok := names[field.Name]
			if !ok {
				name = strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(field.Name, "$1-$2"))
			}
			if field.IsExported() && without[field.Name] == "" {
				assert.NotNil(t, flags.Lookup(name), "%s.%s has no flag -%s", config.Name(), field.Name, name)
			}
		}
	}
}

func environ(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}
