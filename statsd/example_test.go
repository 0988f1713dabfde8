package statsd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// A job whose requests are written to a StatsD server.
func ExampleNew() {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()

	o, err := statsd.New("udp://"+server.LocalAddr().String(), statsd.WithHostname("box"))
	if err != nil {
		panic(err)
	}
	m := loadgen.New(loadgen.WithObserver(o))
	o.Observe(loadgen.Sample{ // as the Manager does it, for each request of its jobs
		Method: "GET", URL: loadgen.SampleURL{Host: "opbeans:8000", Path: "/api/products"},
		Status: 200, Header: 12 * time.Millisecond,
	})
	m.Close()
	o.Close()

	datagram := make([]byte, 1500)
	n, _, err := server.ReadFrom(datagram)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(datagram[:n]))
	fmt.Println("dropped:", o.Dropped())
	// Output:
	// molotov.box.GET.opbeans./api/products:12|ms
	// molotov.box.GET.opbeans./api/products.200:1|c
	// dropped: 0
}

// Besides requests, an Observer can write gauges of jobs.
func ExampleObserver_Watch() {
	o, err := statsd.New("udp://localhost:8125", statsd.WithNames(statsd.NamesLoadgen))
	if err != nil {
		panic(err)
	}
	defer o.Close()
	m := loadgen.New(loadgen.WithObserver(o))
	defer m.Close()
	o.Watch(context.Background(), m)
	// Jobs of m are now written each second.
}

// What a StatsD server would have received, as objects.
func ExampleBridge() {
	b, err := statsd.NewBridge(statsd.WithHostname("box"))
	if err != nil {
		panic(err)
	}
	defer b.Close()
	m := loadgen.New(loadgen.WithObserver(b))
	defer m.Close()
	b.Observe(loadgen.Sample{ // as the Manager does it
		Method: "GET", URL: loadgen.SampleURL{Host: "10.0.0.7:8000", Path: "/api/products"},
		Status: 200, Header: 12 * time.Millisecond,
	})

	interval := b.Take() // each five seconds
	text, err := json.Marshal(interval.Select("counters.molotov.box.GET"))
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
	// Output: {"10":{"0":{"0":{"7":{"-api-products":{"200":1}}}}}}
}
