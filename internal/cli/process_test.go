package cli

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"sync"
	"time"
)

// process is a running program whose output can be waited for.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{}
	err            error // of Wait, once done is closed
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		p.stdout.end()
		p.stderr.end()
		close(p.done)
	}()
	return p, nil
}

// addr is the address that the process listens on, once it does.
func (p *process) addr() (string, error) {
	groups, err := p.stdout.await(regexp.MustCompile(`msg=listening addr=(\S+)|"msg":"listening","addr":"([^"]+)"`))
	if err != nil {
		return "", fmt.Errorf("%w\nstderr: %s", err, &p.stderr)
	}
	return groups[1] + groups[2], nil
}

// wait returns the exit code.
func (p *process) wait() (int, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.done:
		return exitCodeOf(p.err)
	case <-late.C:
		return 0, fmt.Errorf("still running after %s\nstdout: %s\nstderr: %s", patience, &p.stdout, &p.stderr)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// output collects what a process writes. It is safe for concurrent use.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	ended   bool
	changed chan struct{} // closed at the next write or end
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.wake()
	return o.buf.Write(b)
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wake()
}

func (o *output) wake() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await returns the groups of a match, once there is one.
func (o *output) await(re *regexp.Regexp) ([]string, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		o.mu.Lock()
		text, ended := o.buf.String(), o.ended
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if groups := re.FindStringSubmatch(text); groups != nil {
			return groups, nil
		}
		if ended {
			return nil, fmt.Errorf("ended without %q in:\n%s", re, text)
		}
		select {
		case <-changed:
		case <-late.C:
			return nil, fmt.Errorf("no %q within %s in:\n%s", re, patience, text)
		}
	}
}
