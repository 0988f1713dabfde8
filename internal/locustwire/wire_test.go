package locustwire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// pair is a worker and a master that have greeted each other, over a real socket, and the
// bare socket of the master.
func pair(t *testing.T) (worker, master *Conn) {
	t.Helper()
	a, b := sockets(t)
	shaken := make(chan *Conn, 1)
	go func() {
		c, err := Shake(b, Router, "")
		assert.NoError(t, err)
		shaken <- c
	}()
	worker, err := Shake(a, Dealer, "me")
	require.NoError(t, err)
	master = <-shaken
	require.NotNil(t, master)
	return worker, master
}

func sockets(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	a, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	b, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestMessagesBothWays(t *testing.T) {
	worker, master := pair(t)
	assert.Equal(t, "me", master.Peer())
	for _, size := range []int{0, 1, 200, 255, 256, 100_000} {
		sent := ExceptionData{Message: strings.Repeat("x", size)}
		require.NoError(t, worker.Send(Message{Type: Exception, Data: sent, Node: "me"}))
		got, err := master.Receive()
		require.NoError(t, err)
		assert.Equal(t, []string{Exception, "me"}, []string{got.Type, got.Node})
		var data ExceptionData
		require.NoError(t, got.Decode(&data))
		assert.Equal(t, sent, data)
	}
	require.NoError(t, master.Send(Message{Type: Heartbeat, Node: "me"}))
	got, err := worker.Receive()
	require.NoError(t, err)
	data := AckData{Index: 5}
	require.NoError(t, got.Decode(&data))
	assert.Equal(t, 5, data.Index, "no data change nothing")
	master.Close()
	_, err = worker.Receive()
	assert.Error(t, err)
}

// A peer of ZMTP 3.1 may ask whether we live, and send messages of several frames.
func TestPingAndFrames(t *testing.T) {
	worker, master := pair(t)
	raw := master.conn
	_, err := raw.Write(frame(nil, flagCommand, []byte("\x04PING\x00\x0actx")))
	require.NoError(t, err)
	_, err = raw.Write(frame(nil, flagCommand, []byte("\x04WHAT")))
	require.NoError(t, err)
	_, err = raw.Write(frame(frame(nil, flagMore, nil), 0, []byte{0xc1}))
	require.NoError(t, err)
	require.NoError(t, master.Send(Message{Type: Stop, Node: "me"}))
	_, err = worker.Receive()
	require.ErrorIs(t, err, ErrGarbled)
	got, err := worker.Receive()
	require.NoError(t, err)
	assert.Equal(t, Stop, got.Type)
	flags, body, err := master.readFrame()
	require.NoError(t, err)
	assert.Equal(t, byte(flagCommand), flags)
	assert.Equal(t, "\x04PONGctx", string(body))
}

func TestGreetingsThatAreRefused(t *testing.T) {
	greeting := func(change func(b []byte)) []byte {
		b := make([]byte, 64)
		b[0], b[9], b[10] = 0xff, 0x7f, 3
		copy(b[12:], "NULL")
		change(b)
		return b
	}
	same := func([]byte) {}
	command := func(body string) []byte { return frame(greeting(same), flagCommand, []byte(body)) }
	for want, theirs := range map[string][]byte{
		"something else":           []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
		"speaks ZMTP 1":            greeting(func(b []byte) { b[10] = 1 }),
		`mechanism "PLAIN"`:        greeting(func(b []byte) { copy(b[12:], "PLAIN") }),
		"refuses":                  command("\x05ERROR\x02no"),
		`a "DEALER", not a ROUTER`: command(string(property([]byte("\x05READY"), "socket-type", Dealer))),
		"unexpected EOF":           command("\x05READY\xffx"),
		"frame of":                 append(greeting(same), flagLong, 0xff, 0, 0, 0, 0, 0, 0, 0),
	} {
		a, b := sockets(t)
		_, err := b.Write(theirs)
		require.NoError(t, err)
		_, err = Shake(a, Dealer, "me")
		require.ErrorContains(t, err, want)
		_, err = a.Write([]byte("x"))
		assert.ErrorIs(t, err, net.ErrClosed, "it is closed")
	}
}

// What Python's msgpack makes of the same: msgpack.dumps(("client_ready", -1, "w1")), and
// of a heartbeat.
func TestMessageBytes(t *testing.T) {
	for want, m := range map[string]Message{
		"93ac636c69656e745f7265616479ffa27731": {Type: ClientReady, Data: AnyVersion, Node: "w1"},
		"93a471756974c0a27731":                 {Type: Quit, Node: "w1"},
	} {
		b, err := m.encode()
		require.NoError(t, err)
		assert.Equal(t, want, hex.EncodeToString(b))
	}
	_, err := (&Message{Type: "x", Data: func() {}}).encode()
	assert.Error(t, err)
}

func TestReportAsTheMasterReadsIt(t *testing.T) {
	last, least := 12.5, 0.25
	b, err := (&Message{Type: Stats, Node: "w", Data: StatsData{
		UsersData: UsersData{Users: map[string]int{"A": 2}, Count: 2},
		Stats:     []*Entry{{Name: "home", Method: "GET", Last: &last, Min: &least, Times: map[int64]uint64{150: 3}}},
		Total:     &Entry{Name: "Aggregated"},
		Errors:    map[string]*Error{"k": {Error: "check", Count: 1}},
	}}).encode()
	require.NoError(t, err)
	m, err := parseMessage(b)
	require.NoError(t, err)
	var got map[string]msgpack.RawMessage
	require.NoError(t, m.Decode(&got))
	assert.Equal(t, "81a14102", hex.EncodeToString(got["user_classes_count"]))
	assert.Equal(t, "02", hex.EncodeToString(got["user_count"]))
	assert.Contains(t, got, "errors")
	var stats []map[string]msgpack.RawMessage
	require.NoError(t, msgpack.Unmarshal(got["stats"], &stats))
	assert.Equal(t, "81cc9603", hex.EncodeToString(stats[0]["response_times"]))
	var total map[string]msgpack.RawMessage
	require.NoError(t, msgpack.Unmarshal(got["stats_total"], &total))
	for _, key := range []string{"last_request_timestamp", "min_response_time"} {
		assert.Contains(t, total, key)
		assert.Empty(t, total[key], "it is None")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(frame(nil, flagMore, []byte("a")), 0, bytes.Repeat([]byte("b"), 300)))
	f.Add(frame(nil, flagCommand, []byte("\x04PING\x00\x00")))
	f.Add([]byte{flagLong, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Conn{conn: &scripted{}}
		c.in = bufio.NewReader(bytes.NewReader(b))
		for {
			body, err := c.readMessage()
			if err != nil {
				return
			}
			if len(body) > len(b) {
				t.Fatalf("%d bytes out of %d", len(body), len(b))
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	ok, err := (&Message{Type: Spawn, Data: SpawnData{Users: map[string]int{"A": 1}}, Node: "w"}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ok)
	f.Add([]byte{0x93, 0xa0, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			if !errors.Is(err, ErrGarbled) {
				t.Fatal(err)
			}
			return
		}
		var order SpawnData
		var stats StatsData
		_, _ = m.Decode(&order), m.Decode(&stats)
	})
}

func FuzzProperties(f *testing.F) {
	f.Add(property(property(nil, "Socket-Type", Dealer), "Identity", "me"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseProperties(b)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		size := 0
		for name, value := range all {
			size += len(name) + len(value)
		}
		if size > 3*len(b) { // lower case may be longer
			t.Fatalf("%d bytes out of %d", size, len(b))
		}
	})
}

// scripted swallows what is written.
type scripted struct{ net.Conn }

func (*scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }
