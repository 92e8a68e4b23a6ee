package console

import (
	"encoding/json"
	"net/http"

	"midplane/fault"
)

// httpStatus is the HTTP column of the one classification of errors. A kind
// that is not in it is answered like Other.
var httpStatus = map[fault.Kind]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.Denied:      http.StatusForbidden,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Exhausted:   http.StatusTooManyRequests,
	fault.Other:       http.StatusInternalServerError,
}

// problem is an error as JSON says it.
type problem struct {
	Code    fault.Kind `json:"code"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
}

type problemBody struct {
	Error problem `json:"error"`
}

func problemOf(err error) problem {
	return problem{Code: fault.KindOf(err), Message: err.Error(), Hint: fault.HintOf(err)}
}

func statusOf(err error) int {
	if status, ok := httpStatus[fault.KindOf(err)]; ok {
		return status
	}
	return httpStatus[fault.Other]
}

func writeError(w http.ResponseWriter, err error) { writeStatus(w, statusOf(err), err) }

func writeStatus(w http.ResponseWriter, status int, err error) {
	if seen, ok := w.(*watched); ok {
		seen.failure = err.Error()
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter(err))
	}
	writeJSON(w, status, problemBody{problemOf(err)})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		writeError(w, fault.Wrap(fault.Other, err, "encode the answer"))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who asked may be gone
}
