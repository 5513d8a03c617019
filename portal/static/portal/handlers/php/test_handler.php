<?php

// First tests of the handler: orders are approved, and forged requests are refused.
//
// `php test_handler.php` runs them. The program `connect-sim` has to be on your PATH: it starts a
// sandbox.

const SECRET = 'JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10';

// Starts a program; the sandbox ends with the pipe that is its standard input.
function start(array $command, array $variables, string $log): mixed
{
    global $processes;
    $streams = [['pipe', 'r'], ['file', $log, 'w'], ['file', $log, 'a']];
    $process = proc_open($command, $streams, $pipes, __DIR__, $variables + getenv());
    $processes[] = [$process, $pipes];
    return $process;
}

// Returns the first match in a file, as soon as the program has written it.
function wait_for(mixed $process, string $pattern, string $file): string
{
    while (!preg_match($pattern, (string) @file_get_contents($file), $match)) {
        if (!proc_get_status($process)['running']) {
            throw new RuntimeException("It has ended before it wrote to $file.");
        }
        usleep(50_000);
    }
    return $match[0];
}

function call(string $key, string $path, array $body): array
{
    global $sandbox;
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            "Authorization: ApiKey $key",
            'Content-Type: application/json',
            'X-Sandbox-Actor: test', // The calls of a test are not the handler's.
        ],
        'content' => json_encode($body ?: new stdClass()),
        'ignore_errors' => true,
        'timeout' => 60,
    ]]);
    $stream = fopen($sandbox['url'] . $path, 'r', false, $context);
    $content = stream_get_contents($stream);
    if (!preg_match('/ 2\d\d/', stream_get_meta_data($stream)['wrapper_data'][0])) {
        throw new RuntimeException($content);
    }
    return json_decode($content, true);
}

// Creates a product with a webhook that calls the handler, and an order of it. Returns the webhook,
// and the condition that the order is approved.
function order(string $secret): array
{
    global $sandbox, $handler_url;
    $product = call($sandbox['vendor_api_key'], '/sandbox/products', [])['id'];
    $webhook = call($sandbox['vendor_api_key'], '/public/v1/notifications/webhooks', [
        'label' => 'Test', 'product_id' => $product, 'object_class' => 'fulfillment_request',
        'external_url' => $handler_url, 'jwt_secret' => $secret,
    ]);
    $order = call($sandbox['provider_api_key'], '/sandbox/queue/samples', [
        'queue' => 'fulfillment', 'type' => 'purchase', 'product' => $product,
    ]);
    return [$webhook['id'], ['status' => ['object' => $order['id'], 'is' => 'approved']]];
}

// Waits until a condition is true, and skips simulated time meanwhile.
function expect(array $until, array $options = []): void
{
    global $sandbox;
    $body = ['until' => $until, 'skip' => true, 'timeout' => 10] + $options;
    call($sandbox['vendor_api_key'], '/sandbox/wait', $body);
}

$tests = [
    'An order is approved' => function (): void {
        [$webhook, $is_approved] = order(SECRET);
        $is_delivered = ['delivered' => ['webhook' => $webhook, 'attempts_at_most' => 1]];
        expect(['all' => [$is_approved, $is_delivered]]);
    },
    'A forged request is refused' => function (): void {
        [$webhook, $is_approved] = order('JWT-of-somebody-else-0123456789');
        expect(['failed' => ['webhook' => $webhook]]);
        expect(['never' => $is_approved], ['within' => '1d']);
    },
];

$processes = [];
$failed = 0;
$folder = sys_get_temp_dir() . '/connect-sim-' . bin2hex(random_bytes(8));
mkdir($folder, 0700);
try {
    $options = ['--data-dir', $folder, '--port', '0', '--port-file', "$folder/port"];
    $process = start(
        ['connect-sim', 'sandbox', ...$options, '--exit-with-parent'],
        ['SIM_ENV_FILE' => '/dev/null', 'SIM_QUIET' => 'true', 'DATABASE_URL' => ''],
        "$folder/sandbox.log",
    );
    wait_for($process, '/\d+/', "$folder/port");
    $sandbox = json_decode(file_get_contents("$folder/sandbox.json"), true);
    $process = start(
        [PHP_BINARY, '-S', '127.0.0.1:0', 'handler.php'], // At any free port, which it prints.
        [
            'CONNECT_API_URL' => "{$sandbox['url']}/public/v1",
            'CONNECT_API_KEY' => "ApiKey {$sandbox['vendor_api_key']}",
            'JWT_SECRET' => SECRET,
        ],
        "$folder/handler.log",
    );
    $handler_url = wait_for($process, '~http://[\d.]+:\d+~', "$folder/handler.log") . '/';
    foreach ($tests as $name => $test) {
        try {
            $test();
            echo "ok      $name\n";
        } catch (RuntimeException $error) {
            ++$failed;
            echo "failed  $name: {$error->getMessage()}\n";
        }
    }
} finally {
    foreach ($processes as [$process, $pipes]) {
        proc_terminate($process);
        proc_close($process);
    }
    exec('rm -r ' . escapeshellarg($folder));
}
exit($failed ? 1 : 0);
