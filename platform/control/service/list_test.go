package service

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/fault"
)

// Pages go by key, in any order of the rows, and each row is on one page.
func TestListPages(t *testing.T) {
	h := List(func(context.Context, api.ListRequest) ([]Row[int], error) {
		return []Row[int]{RowOf("c", 3), RowOf("a", 1), RowOf("e", 5), RowOf("b", 2), RowOf("d", 4)}, nil
	})
	var got []int
	after, pages := "", 0
	for next := true; next; pages++ {
		answer, err := h(t.Context(), "admin.ann.site.list", fmt.Appendf(nil, `{"limit":2,"after":%q}`, after))
		if err != nil {
			t.Fatal(err)
		}
		page := answer.(api.Page[int])
		got = append(got, page.Items...)
		after, next = page.Next, page.Next != ""
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5}, got); diff != "" || pages != 3 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	for _, limit := range []int{-1, api.MaxPage + 1} {
		if _, err := h(t.Context(), "admin.ann.site.list", fmt.Appendf(nil, `{"limit":%d}`, limit)); !fault.Is(err, fault.Invalid) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	empty := List(func(context.Context, api.ListRequest) ([]Row[int], error) { return nil, nil })
	answer, err := empty(t.Context(), "admin.ann.site.list", []byte(`{}`))
	if data, _ := json.Marshal(answer); err != nil || string(data) != `{"items":[]}` {
		t.Errorf("%s, %v", data, err)
	}
}
