package statsd_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/statsd"
)

// BenchmarkObserve is the cost of a request, its share of what is written included,
// with the traffic of so many paths going to a socket that nobody reads.
func BenchmarkObserve(b *testing.B) {
	for _, names := range []statsd.Names{statsd.NamesMolotov, statsd.NamesLoadgen} {
		for _, paths := range []int{1, 7000} {
			for _, exact := range []int{5000, 0} {
				b.Run(fmt.Sprintf("%s/paths=%d/exact=%d", names, paths, exact), func(b *testing.B) {
					server, err := net.ListenPacket("udp", "127.0.0.1:0")
					require.NoError(b, err)
					defer func() { _ = server.Close() }()
					o, err := statsd.New("udp://"+server.LocalAddr().String(),
						statsd.WithNames(names), statsd.WithExactUpTo(exact))
					require.NoError(b, err)
					defer o.Close()
					samples := make([]loadgen.Sample, paths)
					for i := range samples {
						samples[i] = sample(path(fmt.Sprintf("/api/customers/%d", i)))
					}
					i := 0
					b.ReportAllocs()
					for b.Loop() {
						o.Observe(samples[i])
						if i++; i == paths {
							i = 0
						}
					}
				})
			}
		}
	}
}

// BenchmarkBridge is the cost of a request in a Bridge.
func BenchmarkBridge(b *testing.B) {
	br, err := statsd.NewBridge()
	require.NoError(b, err)
	defer br.Close()
	s := sample(func(s *loadgen.Sample) { s.Remote = netip.MustParseAddr("172.18.0.5") })
	last := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		br.Observe(s)
		if i%4096 == 0 && time.Since(last) > 5*time.Second {
			br.Take()
			last = time.Now()
		}
	}
}
