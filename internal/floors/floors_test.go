package floors

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// run returns what a go command printed in the project's root.
func run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func TestImportsOnlyGoDown(t *testing.T) {
	imports := map[string][]string{}
	for line := range strings.Lines(run(t, "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")) {
		words := strings.Fields(line)
		imports[words[0]] = words[1:]
	}
	if len(imports) < 5 {
		t.Fatalf("only %d packages found", len(imports))
	}
	for _, broken := range Check(imports) {
		t.Error(broken)
	}
}

// TestTheBrokersTestsDoNotUseTheClient keeps the in-memory broker's own tests apart from core as well: two
// sides that share a mistake agree on it.
func TestTheBrokersTestsDoNotUseTheClient(t *testing.T) {
	list := run(t, "list", "-f", `{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./brokertest/...")
	if slices.Contains(strings.Fields(list), Module+"/core") {
		t.Errorf("the tests of %s/brokertest import %s/core", Module, Module)
	}
}

// direct are the modules that the root module may require itself. A new one needs a reason: the standard
// library cannot, and own code would be worse.
var direct = []string{zap, backoff, yaml, text}

// heavy are parts of the paths of modules that a user of the library must never download.
var heavy = []string{"docker", "moby", "containerd", "testcontainers", "toxiproxy", "prometheus", "opentelemetry", "amqp091"}

func TestUsersDownloadLittle(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(run(t, "mod", "edit", "-json")), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(direct, r.Path) {
			t.Errorf("go.mod requires %s, which is not in the list of this test", r.Path)
		}
		for _, part := range heavy {
			if strings.Contains(r.Path, part) {
				t.Errorf("go.mod requires %s: it belongs into a nested module", r.Path)
			}
		}
	}
}

func TestCheckNamesTheOffendingImport(t *testing.T) {
	const m = Module
	tests := []struct {
		name, pkg, imported string
		broken              bool
	}{
		{"down one floor", m + "/core", m + "/core/wire", false},
		{"down several", m, m + "/core/wire", false},
		{"up", m + "/core", m + "/recovery", true},
		{"up to the root package", m + "/consumer", m, true},
		{"the bytes know nobody", m + "/core/wire", m + "/internal/gate", true},
		{"the bytes use the standard library", m + "/core/wire", "encoding/binary", false},
		{"the bytes use nothing else", m + "/core/wire", "go.uber.org/zap", true},
		{"side by side", m + "/publisher", m + "/consumer", true},
		{"and back", m + "/consumer", m + "/publisher", true},
		{"within a floor", m + "/publisher", m + "/publisher/internal/window", false},
		{"a part of a floor has its rule", m + "/publisher/internal/window", m + "/consumer", true},
		{"the broker in memory on the bytes", m + "/brokertest", m + "/core/wire", false},
		{"the broker in memory on the client", m + "/brokertest", m + "/core", true},
		{"parts of the broker in memory too", m + "/brokertest/internal/state", m + "/core", true},
		{"a leaf", m + "/logging", m + "/core", true},
		{"an internal leaf", m + "/internal/gate", m + "/core", true},
		{"internal leaves among themselves", m + "/internal/faultproxy", m + "/internal/gate", false},
		{"a module that is allowed here", m + "/recovery", "github.com/cenkalti/backoff/v4", false},
		{"and is not there", m + "/core", "github.com/cenkalti/backoff/v4", true},
		{"a package of an allowed module", m + "/logging", "go.uber.org/zap/zapcore", false},
		{"a container library", m, "github.com/testcontainers/testcontainers-go", true},
		{"the command line", m + "/cmd/warren", m, false},
		{"the demo on the client", m + "/cmd/warren/internal/demo", m, false},
		{"nobody imports the command line", m, m + "/cmd/warren/demo", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Check(map[string][]string{tt.pkg: {"fmt", tt.imported}})
			if (len(got) > 0) != tt.broken {
				t.Fatalf("Check = %q", got)
			}
			if tt.broken && !(strings.Contains(got[0], tt.pkg+" ") && strings.Contains(got[0], tt.imported)) {
				t.Errorf("%q does not name both packages", got[0])
			}
		})
	}
}

func TestFolderWithoutFloorIsNamed(t *testing.T) {
	got := Check(map[string][]string{Module + "/attic": nil})
	if len(got) != 1 || !strings.Contains(got[0], "attic is on no floor") {
		t.Errorf("Check = %q", got)
	}
}
