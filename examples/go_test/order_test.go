package handler

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOrderCallsTheHandler(t *testing.T) {
	listener, _ := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT")) // Before the order, which calls it at once.
	headers := make(chan http.Header, 9)
	go http.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header }))
	request, _ := http.NewRequest("POST", os.Getenv("CONNECT_SIM_URL")+"/sandbox/queue/samples", strings.NewReader(`{"queue": "fulfillment", "product": "`+os.Getenv("PRODUCT_ID")+`"}`))
	request.Header = http.Header{"Authorization": {os.Getenv("CONNECT_API_KEY")}, "Content-Type": {"application/json"}, "X-Sandbox-Actor": {"test"}}
	if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode > 201 || !strings.HasPrefix((<-headers).Get("Authentication"), "Bearer ") {
		t.Error("The order fails, or the handler is called without a token.", response, err)
	}
}
