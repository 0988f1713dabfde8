// Package apm closes the loop of load that is to test tracing: it receives what the APM
// agents of a service under load send, and holds it against the requests that were sent.
//
// A [Ledger] observes the requests of jobs whose configuration has Trace set. A
// [Receiver] is an HTTP handler that speaks Elastic APM's intake and OTLP, and gives the
// ledger what comes; it may pass everything on to a real server. The [Verdict] says how
// many requests were sent and found, and what is missing, late, duplicated, orphaned,
// misnamed, of the wrong outcome, too long, or has lost its trace between services, each
// with examples.
//
//	ledger, err := apm.NewLedger(apm.LedgerConfig{})
//	receiver, err := apm.NewReceiver(ledger, apm.ReceiverConfig{Forward: "http://apm-server:8200"})
//	go http.Serve(listener, receiver) // where the agents of the service send
//	m := loadgen.New(ledger.Options()...)
//	ledger.Bind(m)
//	job, err := m.Start(ctx, loadgen.JobConfig{Name: "shop", Trace: true, …})
//	err = job.Wait(ctx)
//	verdict := ledger.Settle(ctx, "shop")
//
// The rules of the verdict are in docs/apm.md.
package apm
