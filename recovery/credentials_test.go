package recovery

import (
	"context"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
)

func TestRenewalIsDueInTime(t *testing.T) {
	now := time.Now()
	source := func(context.Context, bool) (Grant, error) { return Grant{}, nil }
	tests := []struct {
		name   string
		wallet wallet
		want   time.Duration // 0: never
	}{
		{"no source to renew from", wallet{used: Grant{Expires: now.Add(time.Hour)}}, 0},
		{"it does not expire", wallet{source: source}, 0},
		{"an hour", wallet{source: source, used: Grant{Expires: now.Add(time.Hour)}}, 48 * time.Minute},
		{"just before", wallet{source: source, used: Grant{Expires: now.Add(time.Millisecond)}}, minRenewal},
		{"expired", wallet{source: source, used: Grant{Expires: now.Add(-time.Hour)}}, lateRenewal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := test.wallet.renewIn(now)
			if got != test.want || ok != (test.want > 0) {
				t.Errorf("%s, %t; want %s", got, ok, test.want)
			}
		})
	}
}

func TestOnlyOtherCredentialsAreWorthAnImmediateAttempt(t *testing.T) {
	answer := core.Credentials{Username: "u", Password: "same"}
	w := wallet{source: func(context.Context, bool) (Grant, error) { return Grant{Credentials: answer}, nil }}
	provide := w.provider(core.Config{})
	if _, err := provide(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.renew(t.Context(), core.Config{}) {
		t.Error("the same credentials again")
	}
	w.lost()
	answer.Password = "other"
	if !w.renew(t.Context(), core.Config{}) || w.renew(t.Context(), core.Config{}) {
		t.Error("other credentials are worth one attempt")
	}
	answer.Password = "third"
	if c, _ := provide(t.Context()); c.Password != "other" {
		t.Errorf("the attempt was made with %q", string(c.Password))
	}
	if c, _ := provide(t.Context()); c.Password != "third" {
		t.Errorf("the next attempt was made with %q", string(c.Password))
	}
}
