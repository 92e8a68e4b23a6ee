package all

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every folder of a collector is in the list, explained, and passes the exam.
func TestListIsWhole(t *testing.T) {
	folders, err := filepath.Glob("../*/README.md")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	list := Collectors()
	if len(list) != len(folders) {
		t.Errorf("%d collectors in the list, %d folders with a README.md", len(list), len(folders))
	}
	for name, c := range list {
		if c == nil {
			t.Errorf("%s is nil", name)
		}
		readme, err := os.ReadFile(filepath.Join("..", name, "README.md"))
		if err != nil {
			t.Error(err)
		}
		for _, want := range []string{"## Parameters", "```yaml", "collector: " + name} {
			if !strings.Contains(string(readme), want) {
				t.Errorf("README.md of %s has no %q", name, want)
			}
		}
		test, err := os.ReadFile(filepath.Join("..", name, name+"_test.go"))
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(test), "collecttest.Run(") {
			t.Errorf("%s does not sit the exam", name)
		}
	}
}
