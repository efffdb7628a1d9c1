// Package faultproxy is a TCP proxy that breaks connections on purpose, for tests
// and for the demo. It runs in the process that uses it, listens on an address of
// 127.0.0.1 that stays the same, and forwards to one upstream, which may change.
//
// The faults are of the transport alone: silence ([Proxy.Pause]), resets
// ([Proxy.Reset]), a cut after a number of bytes ([Proxy.CutAfter]), small
// segments ([Proxy.Slice]), delay ([Proxy.Latency]), a slow link
// ([Proxy.Bandwidth]) and refusal ([Proxy.Refuse]). The proxy never changes,
// reorders or drops a byte in the middle of a stream: TCP does not either.
package faultproxy
