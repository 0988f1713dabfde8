package locustwire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Types of messages, as Locust 2 has them (locust/runners.py).
const (
	ClientReady      = "client_ready"      // worker: give me users
	ClientStopped    = "client_stopped"    // worker: I have stopped as I was told
	Spawning         = "spawning"          // worker: users are on their way
	SpawningComplete = "spawning_complete" // worker: this is how many there are; master: of all workers
	Stats            = "stats"             // worker: what has happened since the last one
	Exception        = "exception"         // worker: what went wrong beside requests
	Heartbeat        = "heartbeat"         // both
	Quit             = "quit"              // both
	Ack              = "ack"               // master: welcome
	Spawn            = "spawn"             // master: have so many users
	Stop             = "stop"              // master: end the test
	Reconnect        = "reconnect"         // master: something on the connection was garbled
)

// States of a worker, which its heartbeats tell.
const (
	StateReady    = "ready"
	StateSpawning = "spawning"
	StateRunning  = "running"
)

// AnyVersion is the data of ClientReady of a worker that is not of Python: the master does
// not compare versions.
const AnyVersion = -1

// Message is one message, of either direction.
type Message struct {
	Type string
	Data any // of a message received: a msgpack.RawMessage for Decode
	Node string
}

// Send sends a message. After an error the connection is of no use.
func (c *Conn) Send(m Message) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return c.sendFrame(b)
}

func (m Message) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	if err := errors.Join(enc.EncodeArrayLen(3), enc.EncodeString(m.Type), enc.Encode(m.Data), enc.EncodeString(m.Node)); err != nil {
		return nil, fmt.Errorf("locust: message %s: %w", m.Type, err)
	}
	return b.Bytes(), nil
}

// ErrGarbled is a message that cannot be read, after which the next one can.
var ErrGarbled = errors.New("locust: a message that cannot be read")

// Receive waits for the next message. An error other than ErrGarbled means that the
// connection is of no use any more.
func (c *Conn) Receive() (Message, error) {
	b, err := c.readMessage()
	if err != nil {
		return Message{}, err
	}
	return parseMessage(b)
}

func parseMessage(b []byte) (m Message, err error) {
	dec := msgpack.NewDecoder(bytes.NewReader(b))
	n, err := dec.DecodeArrayLen()
	if err == nil && n != 3 {
		err = fmt.Errorf("%d parts instead of 3", n)
	}
	var data msgpack.RawMessage
	if err == nil {
		m.Type, err = dec.DecodeString()
	}
	if err == nil {
		data, err = dec.DecodeRaw()
	}
	if err == nil {
		m.Node, err = dec.DecodeString()
	}
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	m.Data = data
	return m, nil
}

// Decode reads the data of a message received into to. No data leave it as it is.
func (m *Message) Decode(to any) error {
	raw, _ := m.Data.(msgpack.RawMessage)
	if len(raw) == 0 || bytes.Equal(raw, []byte{0xc0}) { // nil
		return nil
	}
	if err := msgpack.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("%w: data of %s: %w", ErrGarbled, m.Type, err)
	}
	return nil
}

// AckData comes with Ack.
type AckData struct {
	Index int `msgpack:"index"` // which worker this is, from 0; the same for as long as the master lives
}

// SpawnData comes with Spawn.
type SpawnData struct {
	Timestamp   float64        `msgpack:"timestamp"`
	Users       map[string]int `msgpack:"user_classes_count"` // by the name of their class
	Host        string         `msgpack:"host"`
	StopTimeout float64        `msgpack:"stop_timeout"` // seconds
}

// HeartbeatData goes with Heartbeat.
type HeartbeatData struct {
	State  string  `msgpack:"state"`
	CPU    float64 `msgpack:"current_cpu_usage"`    // percent; above 90 the master warns
	Memory uint64  `msgpack:"current_memory_usage"` // bytes
}

// UsersData goes with SpawningComplete.
type UsersData struct {
	Users map[string]int `msgpack:"user_classes_count"`
	Count int            `msgpack:"user_count"`
}

// ExceptionData goes with Exception.
type ExceptionData struct {
	Message   string `msgpack:"msg"`
	Traceback string `msgpack:"traceback"`
}

// StatsData goes with Stats.
type StatsData struct {
	UsersData `msgpack:",inline"`
	Stats     []*Entry          `msgpack:"stats"`
	Total     *Entry            `msgpack:"stats_total"`
	Errors    map[string]*Error `msgpack:"errors"` // by a key of name, method and error
}

// Entry counts the requests of one name and method (locust/stats.py, StatsEntry). Times
// are in milliseconds, moments in seconds since 1970.
type Entry struct {
	Name          string           `msgpack:"name"`
	Method        string           `msgpack:"method"`
	Last          *float64         `msgpack:"last_request_timestamp"` // nil: no request
	Start         float64          `msgpack:"start_time"`
	Requests      uint64           `msgpack:"num_requests"`
	None          uint64           `msgpack:"num_none_requests"` // of those, the ones without a time
	Failures      uint64           `msgpack:"num_failures"`
	TotalTime     float64          `msgpack:"total_response_time"`
	Max           float64          `msgpack:"max_response_time"`
	Min           *float64         `msgpack:"min_response_time"` // nil: no time
	Size          uint64           `msgpack:"total_content_length"`
	Times         map[int64]uint64 `msgpack:"response_times"`   // by rounded time
	PerSecond     map[int64]uint64 `msgpack:"num_reqs_per_sec"` // by second
	FailPerSecond map[int64]uint64 `msgpack:"num_fail_per_sec"`
}

// Error counts the failures of one name, method and kind (StatsError).
type Error struct {
	Name   string  `msgpack:"name"`
	Method string  `msgpack:"method"`
	Error  string  `msgpack:"error"`
	Count  uint64  `msgpack:"occurrences"`
	First  float64 `msgpack:"first_seen"`
	Last   float64 `msgpack:"last_seen"`
}
