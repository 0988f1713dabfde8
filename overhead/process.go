package overhead

import (
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/opbeans/loadgen/internal/rss"
)

// Process is what the process of a target has used while it was measured.
type Process struct {
	PID    int    `json:"pid"`
	Name   string `json:"name"`
	RSS    int64  `json:"rss_bytes"`     // resident at the end
	MaxRSS int64  `json:"max_rss_bytes"` // the most that was seen
	// CPU is the time of all its threads, in seconds; CPUPerRequest in milliseconds. What it
	// does beside requests counts as well.
	CPU           float64 `json:"cpu_s"`
	CPUPerRequest float64 `json:"cpu_ms_per_request"`
}

// process is looked at while it is measured. What cannot be read is left out.
type process struct {
	mu          sync.Mutex
	pid         int
	from, to    rss.Usage
	began, over bool
	most        int64
}

func newProcess(t Target) *process {
	p := &process{pid: t.PID}
	if p.pid == 0 {
		p.pid = listener(t.URL)
	}
	return p
}

// listener is the process that listens on the port of a loopback URL; 0 if that is not
// known.
func listener(base string) int {
	u, err := url.Parse(base)
	if err != nil {
		return 0
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	pid, err := rss.Listener(port)
	if err != nil {
		return 0
	}
	return pid
}

func (p *process) read() (rss.Usage, bool) {
	if p.pid == 0 {
		return rss.Usage{}, false
	}
	u, err := rss.Of(p.pid)
	return u, err == nil
}

func (p *process) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.began = p.read()
	p.most = p.from.RSS
}

func (p *process) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u, ok := p.read(); ok && p.began && !p.over {
		p.most = max(p.most, u.RSS)
	}
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to, p.over = p.read()
	p.most = max(p.most, p.to.RSS)
}

func (p *process) usage(requests int) *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.began || !p.over {
		return nil
	}
	cpu := (p.to.CPU - p.from.CPU).Seconds()
	return &Process{
		PID: p.pid, Name: p.to.Name, RSS: p.to.RSS, MaxRSS: p.most, CPU: cpu, CPUPerRequest: cpu * 1e3 / float64(max(requests, 1)),
	}
}

// watch looks at the processes every second until stop.
func watch(procs [2]*process) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				for _, p := range procs {
					p.look()
				}
			}
		}
	})
	return func() { close(quit); wg.Wait() }
}
