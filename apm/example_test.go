package apm_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/apm"
)

// A service under load, whose agent loses what it has to say of one request in ten.
func Example() {
	ledger, err := apm.NewLedger(apm.LedgerConfig{})
	if err != nil {
		panic(err)
	}
	receiver, err := apm.NewReceiver(ledger, apm.ReceiverConfig{})
	if err != nil {
		panic(err)
	}
	intake := httptest.NewServer(receiver) // where a real agent's server URL leads
	defer intake.Close()

	calls := 0
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls++; calls%10 == 0 {
			return
		}
		parent := strings.Split(r.Header.Get("Traceparent"), "-")
		body := `{"metadata":{"service":{"name":"shop","agent":{"name":"by-hand"}}}}` + "\n" +
			fmt.Sprintf(`{"transaction":{"id":"%016x","trace_id":%q,"parent_id":%q,"name":"GET /","type":"request","duration":0,"outcome":"success"}}`, calls, parent[1], parent[2])
		res, err := http.Post(intake.URL+"/intake/v2/events", "application/x-ndjson", strings.NewReader(body)) //nolint:noctx // an agent by hand
		if err == nil {
			_ = res.Body.Close()
		}
	}))
	defer service.Close()

	m := loadgen.New(ledger.Options()...)
	ledger.Bind(m)
	job, err := m.Start(context.Background(), loadgen.JobConfig{
		Name: "shop", BaseURL: service.URL, Trace: loadgen.TraceConfig{Enabled: true}, MaxIterations: 50,
		Scenario: loadgen.NewScenario("shop").Task("home", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }),
	})
	if err != nil {
		panic(err)
	}
	if err := job.Wait(context.Background()); err != nil {
		panic(err)
	}
	m.Close()             // now the ledger has seen every request
	ledger.Finish("shop") // and this agent is known to be done; else Settle waits for it
	v := ledger.Verdict("shop")
	fmt.Println(v)
	fmt.Println(len(v.Examples), v.Examples[0].Fault+":", v.Examples[0].Why)
	// Output:
	// 50 sent, 50 sampled, 45 found, 5 missing
	// 5 missing: no transaction has come of it
}
