package core

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// The documented defaults are the ones in force.
func TestDefaults(t *testing.T) {
	c, err := Config{}.withDefaults()
	noErr(t, err)
	credentials, _ := c.Credentials(bg, false)
	if credentials.Username != "guest" || credentials.Password != "guest" || c.DialContext == nil {
		t.Error("credentials or dialler")
	}
	c.Credentials, c.DialContext = nil, nil
	if want := (Config{
		Addr: "localhost:5672", VHost: "/", Locale: "en_US", Heartbeat: 10 * time.Second, ChannelMax: 2047, FrameMax: 131072,
		HandshakeTimeout: 10 * time.Second, TLSTimeout: 5 * time.Second, RPCTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
		CloseTimeout: 5 * time.Second, MaxBody: 64 << 20, MaxPublish: 16 << 20, WriteBuffer: 256 << 10, ConfirmWindow: 65536,
		MaxConsumers: 1000, TableDepth: 32, TableFields: 16384, HandshakeFrameMax: 8192,
	}); !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if c, _ := (Config{TLS: TLSFiles{}.Load}).withDefaults(); c.Addr != "localhost:5671" {
		t.Errorf("address %s", c.Addr)
	}
}

func TestConfigIsValidatedBeforeDialling(t *testing.T) {
	loop := wire.Table{}
	loop["self"] = loop
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"address without a port":      {Config{Addr: "host"}, "host:port"},
		"vhost too long":              {Config{VHost: strings.Repeat("x", 256)}, "vhost"},
		"properties with a channel":   {Config{Properties: wire.Table{"c": make(chan int)}}, "client properties"},
		"properties inside itself":    {Config{Properties: loop}, "client properties"},
		"frames too small":            {Config{FrameMax: 4096}, "frame max"},
		"frames too large":            {Config{FrameMax: 1 << 31}, "frame max"},
		"handshake frames too small":  {Config{HandshakeFrameMax: 100}, "handshake frame max"},
		"heartbeat in milliseconds":   {Config{Heartbeat: 1500 * time.Millisecond}, "whole seconds"},
		"heartbeat too long":          {Config{Heartbeat: 65536 * time.Second}, "65535"},
		"publish limit too large":     {Config{MaxPublish: 1 << 40}, "max publish"},
		"negative timeout":            {Config{RPCTimeout: -1}, "rpc timeout"},
		"tables too deep":             {Config{TableDepth: wire.DepthLimit + 1}, "table depth"},
		"negative window":             {Config{ConfirmWindow: -1}, "confirm window"},
		"window too large":            {Config{ConfirmWindow: 65537}, "confirm window"},
		"tls required and not set up": {Config{Addr: "broker:5672", RequireTLS: true}, "TLS is required"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(bg, tt.cfg)
			if e := mustAs[*ValidationError](t, err); !strings.Contains(e.Error(), tt.want) {
				t.Errorf("%q does not say %q", e, tt.want)
			}
			p, nc := newPeer(t)
			_, err = Open(bg, nc, tt.cfg)
			mustAs[*ValidationError](t, err)
			p.hangsUp()
		})
	}
}

func TestRequireTLSLeavesThisHostAlone(t *testing.T) {
	for _, addr := range []string{"localhost:1", "127.0.0.1:1", "[::1]:1"} {
		if _, err := (Config{Addr: addr, RequireTLS: true}).withDefaults(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := (Config{Addr: "h:1", RequireTLS: true, TLS: TLSFiles{}.Load}).withDefaults(); err != nil {
		t.Error(err)
	}
}

func TestLogin(t *testing.T) {
	c, err := Login("u", "p")(context.Background(), true)
	if err != nil || c != (Credentials{Username: "u", Password: "p"}) {
		t.Errorf("%v, %v", c.Username, err)
	}
}
