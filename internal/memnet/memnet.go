// Package memnet is a network in memory, for tests. Its connections behave like
// TCP connections on loopback: buffered, full duplex, with deadlines, half close,
// refused dials and broken pipes.
//
// It needs no goroutine and no system call, and whoever waits in it waits on a
// condition variable. Inside a testing/synctest bubble such a wait is durable, so
// that virtual time passes while a client waits for a server. A Network and all
// that comes from it belong to the bubble in which they are used first.
package memnet

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
)

const (
	backlog        = 1024  // dialed connections that wait for Accept
	firstEphemeral = 49152 // ports of dialing ends, and of Listen with port 0
	lastEphemeral  = 65535
)

// Network connects dials to listeners by their address, a host of any name and a
// port ("shop:80"). All its methods are safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	port      int // the ephemeral port given out last
}

// New returns a network that nobody listens on.
func New() *Network {
	return &Network{listeners: map[string]*listener{}, port: lastEphemeral}
}

// Listen announces addr, a host and a port. Port 0 picks a free one; the
// listener's Addr tells which. The error is a [*net.OpError], and wraps
// [syscall.EADDRINUSE] if somebody listens there already.
func (n *Network) Listen(addr string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: Addr(addr), Err: err}
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fail(err)
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fail(&net.AddrError{Err: "invalid port", Addr: addr})
	} else if p == 0 {
		if addr = n.freeAddr(host); addr == "" {
			return fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return fail(os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &listener{network: n, addr: Addr(addr), queue: make(chan *Conn, backlog), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// freeAddr is an ephemeral address of a host that nobody listens on, or "".
func (n *Network) freeAddr(host string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range lastEphemeral - firstEphemeral + 1 {
		if addr := n.ephemeral(host); n.listeners[addr] == nil {
			return addr
		}
	}
	return ""
}

// ephemeral is the next ephemeral address of a host; n is locked.
func (n *Network) ephemeral(host string) string {
	if n.port++; n.port > lastEphemeral {
		n.port = firstEphemeral
	}
	return net.JoinHostPort(host, strconv.Itoa(n.port))
}

// DialContext connects to the listener of addr. The connection is ready at once,
// before it is accepted; when very many wait for that, DialContext waits for ctx
// or for a place among them.
//
// The error is a [*net.OpError]. It wraps [syscall.ECONNREFUSED] if nobody
// listens, or the error of ctx. The network's name, such as "tcp", is of no
// importance.
func (n *Network) DialContext(ctx context.Context, name, addr string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: name, Addr: Addr(addr), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	n.mu.Lock()
	l := n.listeners[addr]
	local := n.ephemeral("client")
	n.mu.Unlock()
	if l == nil {
		return fail(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	client, server := newPair(Addr(local), Addr(addr))
	select {
	case l.queue <- server:
	case <-l.done:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	// The listener may have been closed, and have emptied its queue, just before
	// the connection went in.
	if l.isClosed() {
		server.abort()
		return fail(os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	return client, nil
}

// listener is the net.Listener of one address.
type listener struct {
	network *Network
	addr    Addr
	queue   chan *Conn
	done    chan struct{}
	once    sync.Once
}

// Accept waits for a connection. After Close it fails with an error that wraps
// [net.ErrClosed].
func (l *listener) Accept() (net.Conn, error) {
	if !l.isClosed() { // else select might prefer the queue
		select {
		case c := <-l.queue:
			return c, nil
		case <-l.done:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: network, Addr: l.addr, Err: net.ErrClosed}
}

// Close frees the address, ends Accept, and resets the connections that have not
// been accepted.
func (l *listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: network, Addr: l.addr, Err: net.ErrClosed})
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, string(l.addr))
		l.network.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.abort()
				continue
			default:
			}
			break
		}
		err = nil
	})
	return err
}

// Addr is where it listens.
func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) isClosed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

const network = "mem"

// Addr is an address of a [Network]: a host and a port.
type Addr string

// Network is the name of the network, "mem".
func (Addr) Network() string { return network }

// String is the host and the port.
func (a Addr) String() string { return string(a) }
