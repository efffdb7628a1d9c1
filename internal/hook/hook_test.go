package hook_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/warren-mq/warren/internal/hook"
)

func TestAFunctionReturnsOrHasExited(t *testing.T) {
	errOwn := errors.New("its own")
	if v, err := hook.Call(func() (int, error) { return 7, errOwn }); v != 7 || !errors.Is(err, errOwn) {
		t.Errorf("got %d, %v", v, err)
	}
	if v, err := hook.Call(func() (int, error) { runtime.Goexit(); return 7, nil }); v != 0 || !errors.Is(err, hook.ErrExited) {
		t.Errorf("got %d, %v; want 0 and ErrExited", v, err)
	}
	if err := hook.Do(func() {}); err != nil {
		t.Error(err)
	}
	if err := hook.Do(runtime.Goexit); !errors.Is(err, hook.ErrExited) {
		t.Errorf("got %v; want ErrExited", err)
	}
}
