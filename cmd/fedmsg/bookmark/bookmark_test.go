package bookmark

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFile(t *testing.T) {
	f := File(filepath.Join(t.TempDir(), "mark.json"))
	var got struct{ At int }
	if found, err := f.Load(&got); found || err != nil {
		t.Errorf("Load of none = %v, %v", found, err)
	}
	for at := range 3 {
		if err := f.Save(struct{ At int }{at}); err != nil {
			t.Fatal(err)
		}
		if found, err := f.Load(&got); !found || err != nil || got.At != at {
			t.Errorf("Load = %v, %v, %v, want %d", got, found, err, at)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(string(f))); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the file alone", entries, err)
	}
	if err := os.WriteFile(string(f), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(&got); err == nil {
		t.Error("half a bookmark was read")
	}
	for range 2 {
		if err := f.Remove(); err != nil {
			t.Error(err)
		}
	}
	nowhere := File("")
	if found, err := nowhere.Load(&got); found || err != nil || nowhere.Save(1) != nil || nowhere.Remove() != nil {
		t.Errorf("the empty file: %v, %v", found, err)
	}
}
