<?php // `connect-sim exec -- php test_handler.php` runs this with a sandbox of its own.

function post(string $path, array $body): array
{
    $key = 'Authorization: ' . getenv('CONNECT_API_KEY');
    $headers = [$key, 'Content-Type: application/json', 'X-Sandbox-Actor: test'];
    $http = ['method' => 'POST', 'header' => $headers, 'content' => json_encode($body)];
    $context = stream_context_create(['http' => $http]);
    return json_decode(file_get_contents(getenv('CONNECT_SIM_URL') . $path, false, $context), true);
}

// It listens at PORT, which the webhook of the product calls.
$handler = proc_open([PHP_BINARY, '-S', '127.0.0.1:' . getenv('PORT'), 'handler.php'], [], $pipes);
$order = post('/sandbox/queue/samples', ['queue' => 'fulfillment', 'product' => getenv('PRODUCT_ID')]);
// The second attempt, if the handler starts too slowly, is five minutes later: they are skipped.
$is_approved = ['status' => ['object' => $order['id'], 'is' => 'approved']];
post('/sandbox/wait', ['until' => $is_approved, 'skip' => true]); // An error unless that comes true.
proc_terminate($handler);
echo "An order is approved.\n";
