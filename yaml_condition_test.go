package loadgen_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/memnet"
)

// runConditions runs one iteration of a scenario in virtual time against a target that
// answers with a cart of two, and returns the paths that it asked for.
func runConditions(t *testing.T, src string, vars map[string]string) (paths []string, snap *loadgen.Snapshot) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dial, stop := memnet.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			paths = append(paths, r.URL.Path)
			_, _ = w.Write([]byte(`{"cart": 2, "open": true}`))
		}))
		defer stop()
		m := loadgen.New(loadgen.WithDialContext(dial))
		defer m.Close()
		j := start(t, m, loadgen.JobConfig{
			Name: "j", Scenario: load(t, src, nil), BaseURL: target, MaxIterations: 1, Variables: vars,
		})
		require.NoError(t, j.Wait(t.Context()))
		snap = j.Snapshot()
	})
	return paths, snap
}

const conditionsYAML = `
variables: {BUY: false}
tasks:
  - name: t
    think: 1s
    steps:
      - request: GET /cart
        capture: {cart: json("$.cart"), open: json("$.open")}
      - request: GET /skipped
        if: cart > 2
        capture: {ghost: json("$.cart")}
      - request: GET /open
        if: ${open && iteration() == 0}
      - group: none
        steps:
          - {request: GET /none, if: false}
          - {request: GET /none, if: ghost != nil}
      - group: half
        steps:
          - {request: GET /none, if: cart == 1}
          - request: GET /half
          - {request: GET /none, if: cart == 1}
      - request: GET /buy
        if: BUY
`

func TestAStepWhoseConditionIsFalseIsSkippedWithItsPause(t *testing.T) {
	paths, snap := runConditions(t, conditionsYAML, nil)
	assert.Equal(t, []string{"/cart", "/open", "/half"}, paths)
	assert.Zero(t, snap.FailedIterations)
	require.Len(t, snap.Groups, 1, "a group of which nothing ran has not run")
	assert.Equal(t, "half", snap.Groups[0].Group)
	assert.EqualValues(t, 1, snap.Groups[0].Count)
	assert.Equal(t, 3*time.Second, snap.Response.Max().Round(100*time.Millisecond), "after /cart, /open and /half")
}

func TestAConditionOfVariablesFollowsTheJob(t *testing.T) {
	paths, _ := runConditions(t, conditionsYAML, map[string]string{"BUY": "true"})
	assert.Equal(t, []string{"/cart", "/open", "/half", "/buy"}, paths)
}

func TestAConditionThatIsNeitherTrueNorFalseFailsTheIteration(t *testing.T) {
	paths, snap := runConditions(t, `
tasks:
  - name: t
    steps:
      - request: GET /cart
        capture: {cart: json("$.cart")}
      - {request: GET /next, if: cart}
`, nil)
	assert.Equal(t, []string{"/cart"}, paths)
	assert.EqualValues(t, 1, snap.FailedIterations)
	assert.Contains(t, snap.Errors[loadgen.ClassTask].Sample, "test.yaml:7:34: cart: expected true or false, found 2")
}

func TestWhatASkippedStepOfASetUpCapturesIsNil(t *testing.T) {
	paths, snap := runConditions(t, `
vu_setup:
  - {request: GET /login, if: false, capture: {token: json("$.open")}}
tasks:
  - name: t
    steps:
      - {request: GET /with, if: token != nil}
      - {request: GET /without, if: token == nil}
`, nil)
	assert.Equal(t, []string{"/without"}, paths)
	assert.Zero(t, snap.FailedIterations)
}
