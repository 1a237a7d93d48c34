-- Vocabulary over the views `answers` and `scores`, loaded wherever there is one of them.

-- Of all choices of k of n things the share that hold one of the chosen: 1 - C(n - chosen, k) / C(n, k).
create or replace macro share_of_draws(n, chosen, k) as
    1 - coalesce(
        list_product(
            list_transform(
                range(chosen::bigint), lambda i: greatest(n - k - i, 0)::double / (n - i)
            )
        ),
        1
    );
