// `connect-sim exec -- go test` runs this with a sandbox of its own.
package handler

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOrderCallsTheHandler(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT")) // Before the order, which calls it at once.
	if err != nil {
		t.Fatal(err)
	}
	tokens := make(chan string, 9)
	go http.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens <- r.Header.Get("Authentication") }))
	order := `{"queue": "fulfillment", "product": "` + os.Getenv("PRODUCT_ID") + `"}`
	delivery := `{"until": {"delivered": {"webhook": "` + os.Getenv("WEBHOOK_ID") + `"}}}`
	for _, call := range [][2]string{{"/sandbox/queue/samples", order}, {"/sandbox/wait", delivery}} {
		request, _ := http.NewRequest("POST", os.Getenv("CONNECT_SIM_URL")+call[0], strings.NewReader(call[1]))
		request.Header = http.Header{"Authorization": {os.Getenv("CONNECT_API_KEY")}, "Content-Type": {"application/json"}, "X-Sandbox-Actor": {"test"}}
		if response, err := http.DefaultClient.Do(request); err != nil || response.StatusCode >= 400 {
			t.Fatal(call[0], response, err)
		}
	}
	if token := <-tokens; !strings.HasPrefix(token, "Bearer ") {
		t.Errorf("The handler was called without a token: %.10q.", token)
	}
}
