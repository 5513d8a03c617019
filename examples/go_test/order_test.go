package handler

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOrderCallsTheHandler(t *testing.T) {
	headers := make(chan http.Header, 1)
	go http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header }))
	order := strings.NewReader(`{"queue": "fulfillment", "product": "` + os.Getenv("PRODUCT_ID") + `"}`)
	request, _ := http.NewRequest("POST", os.Getenv("CONNECT_SIM_URL")+"/sandbox/queue/samples", order)
	request.Header = http.Header{"Authorization": {os.Getenv("CONNECT_API_KEY")}, "Content-Type": {"application/json"}, "X-Sandbox-Actor": {"test"}}
	http.DefaultClient.Do(request)
	if token := (<-headers).Get("Authentication"); !strings.HasPrefix(token, "Bearer ") {
		t.Errorf("The handler was called with the token %q.", token)
	}
}
