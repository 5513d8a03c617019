<?php

// First tests of the handler: orders are approved, and forged requests are refused.
//
// `connect-sim exec -- php test_handler.php` runs them with a sandbox of their own.

function call(string $method, string $path, array $body): array
{
    $context = stream_context_create(['http' => [
        'method' => $method,
        'header' => [
            'Authorization: ' . getenv('CONNECT_API_KEY'),
            'Content-Type: application/json',
            'X-Sandbox-Actor: test', // The calls of a test are not the handler's.
        ],
        'content' => json_encode($body),
        'ignore_errors' => true,
        'timeout' => 60,
    ]]);
    $stream = fopen(getenv('CONNECT_SIM_URL') . $path, 'r', false, $context);
    $content = stream_get_contents($stream);
    if (!preg_match('/ 2\d\d/', stream_get_meta_data($stream)['wrapper_data'][0])) {
        throw new RuntimeException($content);
    }
    return json_decode($content, true);
}

// Orders the product, and returns the condition that the order is approved.
function order(): array
{
    $order = call('POST', '/sandbox/queue/samples', [
        'queue' => 'fulfillment', 'type' => 'purchase', 'product' => getenv('PRODUCT_ID'),
    ]);
    return ['status' => ['object' => $order['id'], 'is' => 'approved']];
}

// Waits until a condition is true, and skips simulated time meanwhile.
function expect(array $until, array $options = []): void
{
    call('POST', '/sandbox/wait', ['until' => $until, 'skip' => true, 'timeout' => 10] + $options);
}

// Changes the secret by which the sandbox signs its requests.
function sign(string $secret): void
{
    $webhook = '/public/v1/notifications/webhooks/' . getenv('WEBHOOK_ID');
    call('PUT', $webhook, ['jwt_secret' => $secret]);
}

$tests = [
    'An order is approved' => function (): void {
        $is_approved = order();
        $delivered = ['webhook' => getenv('WEBHOOK_ID'), 'attempts_at_most' => 1];
        // Idle: the handler, called again when it has approved, would find the next test's order.
        expect(['all' => [$is_approved, ['delivered' => $delivered], ['idle' => true]]]);
    },
    'A forged request is refused' => function (): void {
        sign('JWT-of-somebody-else-0123456789');
        $is_approved = order();
        expect(['failed' => ['webhook' => getenv('WEBHOOK_ID')]]);
        expect(['never' => $is_approved], ['within' => '1d']);
        sign(getenv('JWT_SECRET'));
    },
];

// Its variables are those of the test. It listens at PORT, which the webhook calls.
$log = tmpfile();
$command = [PHP_BINARY, '-S', '127.0.0.1:' . getenv('PORT'), 'handler.php'];
$handler = proc_open($command, [1 => $log, 2 => $log], $pipes, __DIR__);
while (proc_get_status($handler)['running'] && !@fsockopen('127.0.0.1', (int) getenv('PORT'))) {
    usleep(50_000);
}
$failed = 0;
foreach ($tests as $name => $test) {
    try {
        $test();
        echo "ok      $name\n";
    } catch (RuntimeException $error) {
        ++$failed;
        echo "failed  $name: {$error->getMessage()}\n";
    }
}
proc_terminate($handler);
if ($failed) {
    rewind($log);
    echo stream_get_contents($log);
}
exit($failed ? 1 : 0);
