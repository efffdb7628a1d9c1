package core

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// BenchmarkBoundedSocket shows what it costs to bound what the kernel holds: the same bytes through loopback
// with the bound and without, taking turns. ratio is the median of the rounds, above 1 where the bound is faster.
func BenchmarkBoundedSocket(b *testing.B) {
	const size, per = 64 << 20, 128 << 10
	rate := func(bound bool) float64 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		far, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = far.Close() }()
		if bound {
			newLink(nc)
		}
		begin := time.Now()
		go func() {
			for chunk, n := make([]byte, per), 0; n < size; n += per {
				_, _ = nc.Write(chunk)
			}
		}()
		if _, err := io.CopyN(io.Discard, far, size); err != nil {
			b.Fatal(err)
		}
		return size / time.Since(begin).Seconds()
	}
	var with, without, ratios []float64
	for b.Loop() {
		a, c := rate(true), rate(false)
		with, without, ratios = append(with, a), append(without, c), append(ratios, a/c)
	}
	b.ReportMetric(median(with)/1e6, "MB/s-bounded")
	b.ReportMetric(median(without)/1e6, "MB/s-unbounded")
	b.ReportMetric(median(ratios), "ratio")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
