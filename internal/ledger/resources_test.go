package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestStockSeesWhatIsHeld(t *testing.T) {
	before := Stock()
	stop := make(chan struct{})
	go func() { <-stop }()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	held := Stock()
	if held.Goroutines <= before.Goroutines || before.Files > 0 && held.Files <= before.Files {
		t.Errorf("%+v, before it %+v", held, before)
	}
	close(stop)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if after := StockBack(before, 10*time.Second); after.Goroutines > before.Goroutines || after.Files > before.Files {
		t.Errorf("%+v, before it %+v", after, before)
	}
}
