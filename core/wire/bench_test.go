package wire_test

import (
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

func BenchmarkAppendPublish(b *testing.B) {
	body := make([]byte, 16)
	props := &wire.Properties{DeliveryMode: 2}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendMessage(buf[:0], props, body)
	}
}

func BenchmarkAppendPublishTypical(b *testing.B) {
	body := make([]byte, 256)
	props := &wire.Properties{ContentType: "application/json", DeliveryMode: 2, MessageID: "0191-42", AppID: "shop"}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendMessage(buf[:0], props, body)
	}
}

func BenchmarkAppendPublishHeaders(b *testing.B) {
	body := make([]byte, 16)
	props := &wire.Properties{Headers: wire.Table{"traceparent": "00-4bf9", "n": int64(7), "retry": true, "source": "eu"}}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendMessage(buf[:0], props, body)
	}
}

func appendMessage(buf []byte, props *wire.Properties, body []byte) []byte {
	buf, _ = wire.AppendPublish(buf, 1, "orders", "eu.created", true, false)
	buf, _ = wire.AppendHeader(buf, 1, wire.ClassBasic, uint64(len(body)), props)
	return wire.AppendBody(buf, 1, body, 131072)
}

func BenchmarkDeliver(b *testing.B) {
	frame, err := wire.AppendDeliver(nil, 1, &wire.BasicDeliver{
		ConsumerTag: "ctag-1", DeliveryTag: 42, Exchange: "orders", RoutingKey: "eu.created",
	})
	if err != nil {
		b.Fatal(err)
	}
	var d wire.Decoder
	var m wire.BasicDeliver
	b.ReportAllocs()
	for b.Loop() {
		f, _, err := wire.ParseFrame(frame, 131072)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Deliver(f.Payload, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDeliverMessage(b *testing.B) {
	props := &wire.Properties{ContentType: "text/plain", DeliveryMode: 2, Headers: wire.Table{"a": int32(1), "b": "x"}}
	buf, _ := wire.AppendDeliver(nil, 1, &wire.BasicDeliver{
		ConsumerTag: "ctag-1", DeliveryTag: 42, Exchange: "orders", RoutingKey: "eu.created",
	})
	buf, _ = wire.AppendHeader(buf, 1, wire.ClassBasic, 16, props)
	buf = wire.AppendBody(buf, 1, make([]byte, 16), 0)
	var d wire.Decoder
	var m wire.BasicDeliver
	b.ReportAllocs()
	for b.Loop() {
		method, n, _ := wire.ParseFrame(buf, 0)
		header, k, _ := wire.ParseFrame(buf[n:], 0)
		_, _, _ = wire.ParseFrame(buf[n+k:], 0)
		if err := d.Deliver(method.Payload, &m); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Header(header.Payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAck(b *testing.B) {
	buf := make([]byte, 0, 64)
	var d wire.Decoder
	var m wire.BasicAck
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendAck(buf[:0], 1, 42, true)
		if err := d.Ack(buf[7:], &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMethod(b *testing.B) {
	m := &wire.QueueDeclare{Queue: "orders.eu", Durable: true, Arguments: wire.Table{"x-queue-type": "quorum"}}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = wire.AppendMethod(buf[:0], 1, m)
	}
}

func BenchmarkMethod(b *testing.B) {
	frame, _ := wire.AppendMethod(nil, 1, &wire.QueueDeclareOk{Queue: "orders.eu", MessageCount: 3})
	var d wire.Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Method(frame[7:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeProperties(b *testing.B) {
	raw := benchmarkRaw(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.DecodeProperties(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupHeader(b *testing.B) {
	raw := benchmarkRaw(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := wire.LookupHeader(raw, "retry"); !ok {
			b.Fatal("not found")
		}
	}
}

func benchmarkRaw(b *testing.B) []byte {
	frame, err := wire.AppendHeader(nil, 1, wire.ClassBasic, 16, &wire.Properties{
		ContentType: "application/json", DeliveryMode: 2, MessageID: "0191-42",
		Headers: wire.Table{"traceparent": "00-4bf9", "n": int64(7), "retry": true, "source": "eu"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return frame[7+12 : len(frame)-1]
}
