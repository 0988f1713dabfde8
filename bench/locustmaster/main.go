// Command locustmaster finds how many workers a Locust master carries. It joins as more and
// more simulated workers, which send heartbeats and reports as real ones do but make no
// requests, and prints how long the master takes to answer a heartbeat. A master takes a
// worker for missing that it has not heard for three seconds; when answers take a second,
// it is at its limit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opbeans/loadgen/internal/locustwire"
)

const limit = time.Second // of the 99th percentile of answers

func main() {
	f := &fleet{}
	flag.StringVar(&f.master, "locust", "localhost:5557", "`HOST:PORT` on which the master awaits workers")
	flag.IntVar(&f.tasks, "tasks", 10, "`N` tasks in each report")
	flag.IntVar(&f.times, "times", 60, "`N` different response times of each task, as Locust rounds them, at most 300")
	from := flag.Int("from", 125, "`N` workers to begin with; then twice as many, and so on")
	most := flag.Int("most", 8000, "`N` workers to end with")
	step := flag.Duration("step", 15*time.Second, "`TIME` for each number of workers; the first third is not looked at")
	flag.Parse()
	if err := f.run(*from, *most, *step); err != nil {
		fmt.Fprintln(os.Stderr, "locustmaster:", err)
		os.Exit(1)
	}
}

// fleet is all workers.
type fleet struct {
	master       string
	tasks, times int
	lost         atomic.Int64 // workers whose connection has ended
	mu           sync.Mutex
	answers      []time.Duration
}

func (f *fleet) run(from, most int, step time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	workers := 0
	for n := from; n <= most; n *= 2 {
		for ; workers < n; workers++ {
			conn, err := f.join(ctx, fmt.Sprintf("simulated_%d", workers))
			if err != nil {
				return err
			}
			number := workers
			wg.Go(func() { f.work(ctx, conn, number) })
		}
		<-time.After(step / 3)
		f.take()
		<-time.After(step - step/3)
		answers := f.take()
		if len(answers) == 0 {
			return fmt.Errorf("%d workers: no answer", n)
		}
		slices.Sort(answers)
		expected := float64(n) * (step - step/3).Seconds()
		p99 := answers[len(answers)*99/100]
		fmt.Printf("%5d workers: heartbeats answered in %s (median), %s (p99), %.1f%% of them; %d connections lost\n",
			n, answers[len(answers)/2].Round(100*time.Microsecond), p99.Round(100*time.Microsecond), min(100, 100*float64(len(answers))/expected), f.lost.Load())
		if p99 > limit || f.lost.Load() > 0 {
			break
		}
	}
	return nil
}

// take returns the answers since the last time.
func (f *fleet) take() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.answers
	f.answers = nil
	return a
}

// join connects a worker.
func (f *fleet) join(ctx context.Context, id string) (*worker, error) {
	raw, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", f.master)
	if err != nil {
		return nil, err
	}
	conn, err := locustwire.Shake(raw, locustwire.Dealer, id)
	if err != nil {
		return nil, err
	}
	return &worker{conn, id}, conn.Send(locustwire.Message{Type: locustwire.ClientReady, Data: locustwire.AnyVersion, Node: id})
}

type worker struct {
	conn *locustwire.Conn
	id   string
}

// work sends what a worker sends until ctx is done, and then that it leaves.
func (f *fleet) work(ctx context.Context, w *worker, number int) {
	var sent sync.Map // when the k-th heartbeat was sent
	var reading sync.WaitGroup
	defer reading.Wait()
	defer w.conn.Close()
	reading.Go(func() {
		for k := 0; ; {
			msg, err := w.conn.Receive()
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
					f.lost.Add(1)
				}
				return
			}
			if msg.Type != locustwire.Heartbeat {
				continue
			}
			if at, ok := sent.LoadAndDelete(k); ok {
				f.mu.Lock()
				f.answers = append(f.answers, time.Since(at.(time.Time)))
				f.mu.Unlock()
			}
			k++
		}
	})
	f.spread(ctx, number)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for k := 0; ; k++ {
		sent.Store(k, time.Now())
		err := w.send(locustwire.Heartbeat, locustwire.HeartbeatData{State: locustwire.StateReady})
		if err == nil && (k+number)%3 == 0 {
			err = w.send(locustwire.Stats, f.report())
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			_ = w.send(locustwire.Quit, nil) // the master may be gone
			return
		case <-tick.C:
		}
	}
}

// spread lets workers begin at different moments of a second.
func (f *fleet) spread(ctx context.Context, number int) {
	select {
	case <-time.After(time.Duration(number*7919%1000) * time.Millisecond):
	case <-ctx.Done():
	}
}

func (w *worker) send(kind string, data any) error {
	return w.conn.Send(locustwire.Message{Type: kind, Data: data, Node: w.id})
}

// report is that of three seconds of load.
func (f *fleet) report() locustwire.StatsData {
	now := float64(time.Now().UnixMilli()) / 1000
	entry := func(name string) *locustwire.Entry {
		e := &locustwire.Entry{
			Name: name, Method: "GET", Last: &now, Start: now - 3, Min: &now, Max: 1,
			Times: map[int64]uint64{}, PerSecond: map[int64]uint64{}, FailPerSecond: map[int64]uint64{},
		}
		for i := range min(f.times, 300) {
			e.Times[int64(i)] = 100
			e.Requests += 100
		}
		for s := range int64(3) {
			e.PerSecond[int64(now)-s] = e.Requests / 3
		}
		return e
	}
	d := locustwire.StatsData{UsersData: locustwire.UsersData{Users: map[string]int{"Loadgen": 100}, Count: 100}, Total: entry("Aggregated")}
	for i := range f.tasks {
		d.Stats = append(d.Stats, entry(fmt.Sprintf("task_%d", i)))
	}
	return d
}
