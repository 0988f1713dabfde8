package testagents

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

const scenario = `
tasks:
  - name: home
    weight: 6
    request: GET /home
  - name: missing
    weight: 2
    request: GET /missing
    expect: 404
  - name: oops
    weight: 3
    request: GET /oops
    expect: 500
`

// requests are so few that no queue within an agent can be full, however slow the machine.
const requests = 300

// proof is one run of a job against a shop with an agent.
type proof struct {
	verdict  *apm.Verdict
	snapshot *loadgen.Snapshot
	injector *injector
	severed  int64
}

func run(t *testing.T, newAgent func(t *testing.T, service, receiver string) *agent, f fault, version string, ratio float64) *proof {
	t.Helper()
	// Neither how long anything takes nor when it comes may matter.
	ledger, err := apm.NewLedger(apm.LedgerConfig{Grace: time.Hour, Tolerance: 10 * time.Minute})
	require.NoError(t, err)
	receiver, err := apm.NewReceiver(ledger, apm.ReceiverConfig{Version: version})
	require.NoError(t, err)
	in := &injector{fault: f, receiver: receiver}
	intake, behind := httptest.NewServer(in), httptest.NewServer(receiver)
	defer intake.Close()
	defer behind.Close()
	front, back := newAgent(t, "shop", intake.URL), newAgent(t, "stock", behind.URL)
	wire := &severer{on: f == sever}
	stockServer := httptest.NewServer(stock(back))
	defer stockServer.Close()
	shopServer := httptest.NewServer(shop(front, stockServer.URL, wire))
	defer shopServer.Close()

	s, err := loadgen.ParseScenario("shop", []byte(scenario))
	require.NoError(t, err)
	m := loadgen.New(ledger.Options()...)
	defer m.Close()
	ledger.Bind(m)
	job, err := m.Start(t.Context(), loadgen.JobConfig{
		Name: "proof", BaseURL: shopServer.URL, Scenario: s, Workers: 3, MaxIterations: requests, Seed: 7, Trace: loadgen.TraceConfig{Enabled: true, Ratio: ratio},
		Client: loadgen.ClientConfig{Timeout: time.Minute},
	})
	require.NoError(t, err)
	require.NoError(t, job.Wait(t.Context()))
	snap := job.Snapshot()
	require.Zero(t, snap.FailedRequests)

	shopServer.Close() // which waits until every handler is done, and so every transaction over
	stockServer.Close()
	front.flush(t)
	back.flush(t)
	require.Eventually(t, func() bool { return ledger.Verdict("proof").Sent == int64(snap.Requests) }, time.Minute, time.Millisecond)
	ledger.Finish("proof")
	in.release()
	return &proof{ledger.Verdict("proof"), snap, in, wire.severed.Load()}
}

func agents() map[string]func(t *testing.T, service, receiver string) *agent {
	return map[string]func(t *testing.T, service, receiver string) *agent{"elastic": newElastic, "otel": newOTel}
}

// TestFaultsAreCounted: without a fault nothing is wrong, and with one exactly what was
// put in, and what follows from it.
func TestFaultsAreCounted(t *testing.T) {
	for name, newAgent := range agents() {
		for f, effect := range map[fault]func(c *apm.Counts, p *proof, n int64){
			none: func(*apm.Counts, *proof, int64) {},
			drop: func(c *apm.Counts, p *proof, n int64) {
				c.Found -= n
				c.Missing = n
				c.Orphaned = int64(p.injector.orphans)
			},
			double:   func(c *apm.Counts, _ *proof, n int64) { c.Duplicated = n },
			delay:    func(c *apm.Counts, _ *proof, n int64) { c.Late = n },
			rename:   func(c *apm.Counts, _ *proof, n int64) { c.WrongName = n },
			flip:     func(c *apm.Counts, _ *proof, n int64) { c.WrongOutcome = n },
			lengthen: func(c *apm.Counts, _ *proof, n int64) { c.TooLong = n },
			loseError: func(c *apm.Counts, _ *proof, n int64) {
				c.NoError, c.WrongOutcome = n, n
				c.ErrorDocs -= n
			},
			sever: func(c *apm.Counts, _ *proof, n int64) { c.Broken = n },
		} {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				p := run(t, newAgent, f, "", 0)
				n := int64(p.injector.injected) + p.severed
				if f != none {
					require.Positive(t, n, "nothing was wrong")
				}
				failing := int64(p.snapshot.Status[500])
				want := apm.Counts{Sent: requests, Sampled: requests, Found: requests, ErrorDocs: failing, ExpectedErrors: failing}
				effect(&want, p, n)
				if f == drop && name == "otel" {
					// The exceptions are in the spans that were lost.
					want.ErrorDocs = p.verdict.ErrorDocs
				}
				assert.Equal(t, want, p.verdict.Counts)
				assert.Equal(t, f == none, p.verdict.OK)
				assert.Empty(t, p.verdict.Doubts)
				assert.True(t, p.verdict.Settled)
				for _, e := range p.verdict.Examples {
					assert.True(t, strings.HasPrefix(e.Curl, "curl -sS 'http://127.0.0.1:"), e.Curl)
				}
			})
		}
	}
}

// TestSampling: what is not sampled is not missed, whether the agent tells of it or not.
func TestSampling(t *testing.T) {
	for name, newAgent := range agents() {
		t.Run(name, func(t *testing.T) {
			v := run(t, newAgent, none, "7.17.0", 0.5).verdict
			assert.EqualValues(t, requests, v.Sent)
			assert.Greater(t, v.Sampled, int64(requests/4))
			assert.Less(t, v.Sampled, int64(requests*3/4))
			assert.Equal(t, v.Sampled, v.Found)
			assert.True(t, v.OK, v)
			if name == "elastic" {
				assert.Equal(t, v.Sent-v.Sampled, v.UnsampledFound, "to a server before 8.0 it sends them all")
			} else {
				assert.Zero(t, v.UnsampledFound)
			}
		})
	}
}
