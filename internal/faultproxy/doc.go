// Package faultproxy is a TCP proxy that breaks connections on purpose, for tests
// and for the demo. It runs in the process that uses it, listens on an address of
// 127.0.0.1 that stays the same, and forwards to one upstream, which may change.
//
// Faults of the transport are silence ([Proxy.Pause], [Proxy.Blackhole]), resets
// ([Proxy.Reset]), a cut after a number of bytes ([Proxy.CutAfter]), half-close
// ([Proxy.HalfClose]), small segments ([Proxy.Slice]), delay ([Proxy.Latency]), a
// slow link ([Proxy.Bandwidth]) and refusal ([Proxy.Refuse]). They break a stream off
// and never change, reorder or drop a byte in its middle: TCP does not either.
//
// On connections that speak AMQP in the clear, [Proxy.Frames] drops, holds,
// duplicates, corrupts and rewrites frames, or cuts the connection at one,
// [Proxy.Inject] forges them, and [Proxy.Observe] watches what passes. There a frame
// is forwarded when it has come whole.
//
// A fault shows its effect in [Proxy.Stats] and [FrameFault.Hits].
package faultproxy
