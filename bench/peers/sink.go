package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// sink is a StatsD server that reads everything and keeps nothing.
type sink struct {
	conn     net.PacketConn
	received atomic.Uint64 // bytes
	wg       sync.WaitGroup
}

func startSink(ctx context.Context) (*sink, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{conn: conn}
	s.wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			s.received.Add(uint64(n))
		}
	})
	return s, nil
}

func (s *sink) addr() string { return s.conn.LocalAddr().String() }

func (s *sink) close() {
	_ = s.conn.Close()
	s.wg.Wait()
}
