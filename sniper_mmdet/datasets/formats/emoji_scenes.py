"""Classes of the emoji scenes, in the order of their files."""

#: Classes of the files with boxes and without.
CLASSES = tuple(
    (
        'grinning-face face-with-tears-of-joy smiling-face-with-sunglasses '
        'nerd-face angry-face face-with-medical-mask sleeping-face '
        'face-with-steam-from-nose clown-face cowboy-hat-face dog-face '
        'cat-face tiger-face lion panda koala frog monkey-face pig-face fox '
        'red-apple green-apple pear tangerine lemon banana watermelon '
        'grapes strawberry pineapple automobile taxi bus fire-engine '
        'delivery-truck tractor bicycle motor-scooter sailboat helicopter '
        'soccer-ball basketball american-football baseball tennis '
        'volleyball rugby-football bowling pool-8-ball yo-yo t-shirt jeans '
        'dress necktie top-hat backpack running-shoe high-heeled-shoe '
        'handbag glasses '
    ).split()
)
#: Classes without boxes for training.
NOVEL = tuple(
    (
        'clown-face cowboy-hat-face pig-face fox strawberry pineapple '
        'sailboat helicopter pool-8-ball yo-yo handbag glasses '
    ).split()
)
