package chaos

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
)

// libraryPath is in the stack of every goroutine that the library runs or started.
const libraryPath = "github.com/warren-mq/warren"

// ownPaths are of goroutines that only look like the library's: the harness itself.
var ownPaths = []string{libraryPath + "/chaos_test", libraryPath + "/internal/faultproxy", libraryPath + "/internal/ledger"}

// leakTimeout is how long a goroutine that was told to end may take to be gone.
const leakTimeout = 5 * time.Second

// requireNoGoroutines fails the test if goroutines of the library are left. It is called when every client
// is closed, in cleanups too, where the test's own context has ended.
func requireNoGoroutines(t testing.TB) {
	t.Helper()
	var left []string
	if !eventually(context.Background(), leakTimeout, func() bool {
		left = libraryGoroutines()
		return len(left) == 0
	}) {
		t.Errorf("%d goroutines left after Close:\n%s", len(left), strings.Join(left, "\n\n"))
	}
}

// libraryGoroutines returns the stacks of the library's goroutines.
func libraryGoroutines() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return ofLibrary(string(buf[:n]))
		}
		buf = make([]byte, 2*len(buf))
	}
}

// ofLibrary picks the library's goroutines from a dump of all.
func ofLibrary(dump string) []string {
	var found []string
	for stack := range strings.SplitSeq(dump, "\n\n") {
		rest := stack
		for _, own := range ownPaths {
			rest = strings.ReplaceAll(rest, own, "")
		}
		if strings.Contains(rest, libraryPath) {
			found = append(found, stack)
		}
	}
	return found
}

func TestLeakCheckTellsTheLibraryFromTheHarness(t *testing.T) {
	const dump = "goroutine 1 [running]:\n" + libraryPath + "/chaos_test.TestX(0x1)\n\n" +
		"goroutine 2 [IO wait]:\n" + libraryPath + "/internal/faultproxy.(*link).run(0x1)\n\n" +
		"goroutine 5 [syscall]:\n" + libraryPath + "/internal/ledger.(*Conn).Close(0x1)\n\n" +
		"goroutine 3 [select]:\n" + libraryPath + "/recovery.(*Connection).runSupervisor(0x1)\n\n" +
		"goroutine 4 [select]:\nnet/http.(*Server).Serve(0x1)"
	if got := ofLibrary(dump); len(got) != 1 || !strings.HasPrefix(got[0], "goroutine 3 ") {
		t.Errorf("ofLibrary = %q", got)
	}
	requireNoGoroutines(t) // none of an earlier test
}
